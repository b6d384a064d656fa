/** The thread in which the compiler of Kaitai Struct runs. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import { parse } from 'yaml'
import { findImport } from './schema-imports.ts'

/** What the thread is given. Paths are absolute. */
export interface CompileJob {
  readonly file: string
  readonly compiler: string
}

/** What it answers. */
export type CompileAnswer = { readonly source: KaitaiSource } | { readonly problem: string }

/** A compiled `.ksy` file. */
export interface KaitaiSource {
  /** The name of the class that stands for the file; its module has the same name. */
  readonly main: string
  /** The files that the compiler wrote: `Telegram.js` and what is in it. */
  readonly modules: Readonly<Record<string, string>>
  /** The same, as modules that keep notes of where each field lies. They are slower. */
  readonly noted: Readonly<Record<string, string>>
  /** The ids of the file by the names that the compiler makes of them: `netWeight` is `net_weight`. */
  readonly ids: ReadonlyMap<string, string>
}

/** The part of the compiler that is used (its README). */
interface Compiler {
  compile(language: 'javascript', ksy: unknown, importer: Importer, debug: boolean): Promise<Record<string, string>>
}

interface Importer {
  importYaml(name: string, mode: 'rel' | 'abs'): Promise<unknown>
}

const answer = await compile(workerData as CompileJob)
parentPort?.postMessage(answer)

async function compile({ file, compiler }: CompileJob): Promise<CompileAnswer> {
  try {
    const { compile }: Compiler = createRequire(import.meta.url)(compiler)
    const ids = new Map<string, string>()
    const main = read(file, ids)
    const importer: Importer = {
      importYaml: async (name) => read(findImport(file, file, `${name}.ksy`), ids),
    }
    const modules = await compile('javascript', main, importer, false)
    const noted = await compile('javascript', main, importer, true)
    return { source: { main: classOf(main), modules, noted, ids } }
  } catch (thrown) {
    return { problem: problemOf(thrown) }
  }
}

function read(file: string, ids: Map<string, string>): unknown {
  const ksy: unknown = parse(readFileSync(file, 'utf8'))
  collectIds(ksy, ids)
  return ksy
}

/** The compiler's name for a file: of `scale_9` it makes `Scale9`. */
function classOf(ksy: unknown): string {
  const { id } = (ksy as { readonly meta: { readonly id: unknown } }).meta
  return String(id).replaceAll(/(?:^|_)([a-z\d])/g, (_, next: string) => next.toUpperCase())
}

/** The ids of fields, and the keys of instances, wherever they are. */
function collectIds(value: unknown, ids: Map<string, string>): void {
  if (typeof value !== 'object' || value === null) return
  const { id, instances } = value as { readonly id?: unknown; readonly instances?: unknown }
  const keys = typeof instances === 'object' && instances !== null ? Object.keys(instances) : []
  for (const one of typeof id === 'string' ? [id, ...keys] : keys) {
    ids.set(
      one.replaceAll(/_([a-z\d])/g, (_, next: string) => next.toUpperCase()),
      one,
    )
  }
  for (const inner of Object.values(value)) collectIds(inner, ids)
}

/** The compiler throws what is no Error, with the name of its class in front and its text on several lines. */
function problemOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown)
  return text
    .replace(/^[\w.$]+(?:Exception|Error): /, '')
    .replaceAll(/\s+/g, ' ')
    .trim()
}
