import { createRequire } from 'node:module'
import { compileFunction } from 'node:vm'
import { numberOrText } from './binary-reader.ts'
import { findFault, type Place } from './kaitai-fault.ts'
import { type Struct, toKaitaiValue } from './kaitai-value.ts'
import type { KaitaiSource } from './kaitai-worker.ts'

/** A compiled `.ksy` file that can read. */
export interface KaitaiType {
  /** @returns the value, or what is wrong; `at` counts from the start of the frame */
  read(bytes: Buffer, start: number, end: number): { readonly value: unknown } | KaitaiFault
}

export interface KaitaiFault extends Place {
  readonly problem: string
}

/**
 * Makes a reader of a compiled file. What the compiler wrote is code, and this is the one place where a text is run as code
 * that was not written here: it comes from a file of the operator's, like a script.
 * @param runtime absolute path of the entry of the package `kaitai-struct`
 */
export function loadKaitaiType({ main, modules, noted, ids }: KaitaiSource, runtime: string): KaitaiType {
  const { KaitaiStream }: Runtime = createRequire(import.meta.url)(runtime)
  const Stream = withAllDigits(KaitaiStream)
  const Plain = loadModules(main, modules, Stream)
  const Noted = loadModules(main, noted, Stream)
  // A copy, since a description may go to any place in what it is given.
  const streamOf = (bytes: Buffer, start: number, end: number) => new Stream(copyOf(bytes, start, end))
  return {
    read(bytes, start, end) {
      try {
        return { value: toKaitaiValue(new Plain(streamOf(bytes, start, end)), ids) }
      } catch (thrown) {
        const root = new Noted(streamOf(bytes, start, end))
        return { problem: problemOf(thrown), ...findFault(root, ids, end - start) }
      }
    },
  }
}

/** The stream of Kaitai's runtime, as far as it is used here. */
interface Stream {
  readonly pos: number
  readBytes(length: number): Uint8Array
}

type StreamClass = new (bytes: ArrayBuffer) => Stream
type StructClass = new (stream: Stream) => Struct

interface Runtime {
  readonly KaitaiStream: StreamClass
}

/** The runtime makes a number of 8 bytes, which loses digits above 2^53; here it is a text then. */
function withAllDigits(Base: StreamClass): StreamClass {
  return class extends Base {
    readU8be(): number | string {
      return numberOrText(this.#eight().readBigUInt64BE(0))
    }

    readU8le(): number | string {
      return numberOrText(this.#eight().readBigUInt64LE(0))
    }

    readS8be(): number | string {
      return numberOrText(this.#eight().readBigInt64BE(0))
    }

    readS8le(): number | string {
      return numberOrText(this.#eight().readBigInt64LE(0))
    }

    #eight(): Buffer {
      return Buffer.from(this.readBytes(8))
    }
  }
}

/** Runs the modules; they ask for each other, and for the stream. @returns the class that stands for the file */
function loadModules(main: string, modules: Readonly<Record<string, string>>, stream: StreamClass): StructClass {
  const loaded = new Map<string, Record<string, unknown>>()
  const load = (name: string): Record<string, unknown> => {
    const before = loaded.get(name)
    if (before !== undefined) return before
    const exports: Record<string, unknown> = {}
    loaded.set(name, exports)
    const file = `${name}.js`
    const run = compileFunction(modules[file] ?? '', ['exports', 'require'], { filename: file })
    run(exports, (wanted: string) => (wanted === STREAM ? stream : load(wanted.replace('./', ''))))
    return exports
  }
  return load(main)[main] as StructClass
}

/** What each module asks for. */
const STREAM = 'kaitai-struct/KaitaiStream'

/** The errors of the runtime are sentences of its own; that of a stack that is full is none. */
function problemOf(thrown: unknown): string {
  if (thrown instanceof RangeError && thrown.message.includes('call stack')) return 'nested too deep'
  return thrown instanceof Error ? thrown.message : String(thrown)
}

function copyOf(bytes: Buffer, start: number, end: number): ArrayBuffer {
  return new Uint8Array(bytes.subarray(start, end)).buffer
}
