/**
 * Writes what is made from the definitions: the reference below `docs/reference/` and the JSON Schema for editors; and
 * what is compiled: the WebAssembly of `src/util/split.wat`.
 *
 * `node scripts/generate.ts` writes; with `--check` it only says which files are not what they should be.
 * `test/docs-in-sync.test.ts` does the same in the test suite.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, sep } from 'node:path'
import loadWabt from 'wabt'
import { createProgram } from '../src/cli/main.ts'
import { createEditorSchema } from '../src/config/editor-schema.ts'
import { mistakes } from '../src/config/problems.ts'
import { configSchema } from '../src/config/schema.ts'
import { subscribeSchema } from '../src/config/schema-sources.ts'
import { siblingsSchema } from '../src/config/schema-step.ts'
import { createRegistry } from '../src/registry/builtins.ts'
import { createFileSchema, type JsonSchema } from '../src/registry/json-schema.ts'
import type { Page } from '../src/registry/markdown.ts'
import {
  configPage,
  errorsPage,
  eventsPage,
  expressionsPage,
  indexPage,
  metricsPage,
  partPages,
} from '../src/registry/reference.ts'
import { caseFileSchema } from '../src/testing/case-schema.ts'
import { cliPage } from './cli-page.ts'

/** A generated file: its path from the root of the project, with slashes, and its text. */
export interface GeneratedFile {
  readonly path: string
  readonly text: string
}

/** A generated file that is not what it should be. */
export interface Difference {
  readonly path: string
  /** `stale` is a file that nothing generates any more. */
  readonly state: 'missing' | 'changed' | 'stale'
}

const REFERENCE = 'docs/reference'

/** Written by `npm run soak -- --report` from what was measured, and linked from the index. */
export const measuredPage: Page = { path: 'reliability.md', text: '' }

const wabt = await loadWabt()

/** Everything that is generated. */
export function generateFiles(): GeneratedFile[] {
  const registry = createRegistry()
  const others: { page: Page; about: string }[] = [
    {
      page: configPage({ config: configSchema, siblings: siblingsSchema, subscribe: subscribeSchema }),
      about: 'every option outside the parts',
    },
    { page: expressionsPage(), about: 'names and functions of the expression language' },
    { page: errorsPage(mistakes), about: 'codes of failures, close reasons and mistakes' },
    { page: eventsPage(), about: 'what the library tells its user' },
    { page: metricsPage(), about: 'what /metrics counts' },
    { page: cliPage(createProgram()), about: 'every command with its options' },
  ]
  const measured = { page: measuredPage, about: 'what was measured under kill -9, power loss, full disks and more' }
  const pages = [indexPage(registry, [...others, measured]), ...others.map(({ page }) => page), ...partPages(registry)]
  return [
    ...pages.map(({ path, text }) => ({ path: `${REFERENCE}/${path}`, text })),
    schemaFile('sluice.schema.json', createEditorSchema()),
    schemaFile('sluice-test.schema.json', createFileSchema('Dataflow tests of Sluice', caseFileSchema)),
    splitModule(),
  ]
}

/** A module of WebAssembly as a text, so that it is loaded like any other source. */
function splitModule(): GeneratedFile {
  const source = 'src/util/split.wat'
  const { buffer } = wabt
    .parseWat(source, readFileSync(join(import.meta.dirname, '..', source), 'utf8'), { simd: true })
    .toBinary({})
  const text = `/** Compiled from split.wat by \`npm run generate\`; base64. */
export const SPLIT_MODULE =
  '${Buffer.from(buffer).toString('base64')}'
`
  return { path: 'src/util/split-module.ts', text }
}

function schemaFile(name: string, schema: JsonSchema): GeneratedFile {
  return { path: `schema/${name}`, text: `${JSON.stringify(schema, undefined, 2)}\n` }
}

/** Which files below `root` differ from what would be generated. */
export function findDifferences(root: string, files: readonly GeneratedFile[]): Difference[] {
  const differing = files.flatMap(({ path, text }): Difference[] => {
    const file = join(root, path)
    if (!existsSync(file)) return [{ path, state: 'missing' }]
    return readFileSync(file, 'utf8') === text ? [] : [{ path, state: 'changed' }]
  })
  const known = new Set([...files.map(({ path }) => path), `${REFERENCE}/${measuredPage.path}`])
  const stale = generatedPaths(root).filter((path) => !known.has(path))
  return [...differing, ...stale.map((path): Difference => ({ path, state: 'stale' }))]
}

/** Writes what is missing or changed and removes what is stale. */
export function writeDifferences(root: string, files: readonly GeneratedFile[]): Difference[] {
  const differences = findDifferences(root, files)
  for (const { path, state } of differences) {
    const file = join(root, path)
    if (state === 'stale') {
      rmSync(file)
      continue
    }
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, files.find((one) => one.path === path)!.text)
  }
  return differences
}

/** What lies in the folders that hold nothing but generated files. */
function generatedPaths(root: string): string[] {
  return [REFERENCE, 'schema'].flatMap((folder) =>
    existsSync(join(root, folder))
      ? readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) =>
            join(entry.parentPath, entry.name)
              .slice(join(root).length + 1)
              .split(sep)
              .join('/'),
          )
      : [],
  )
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '..')
  const isCheck = process.argv.includes('--check')
  const differences = isCheck ? findDifferences(root, generateFiles()) : writeDifferences(root, generateFiles())
  for (const { path, state } of differences) process.stdout.write(`${state.padEnd(8)} ${path}\n`)
  process.stdout.write(
    `${differences.length} files ${isCheck ? 'differ from their definitions' : 'written or removed'}\n`,
  )
  if (isCheck && differences.length > 0) process.exitCode = 1
}
