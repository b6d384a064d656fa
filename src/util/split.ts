import { SPLIT_MODULE } from './split-module.ts'

/** How many bytes can be searched in one call. */
export const MAX_SPLIT_LENGTH = 131_072

/** How many frames one call can give. */
export const MAX_SPLIT_COUNT = 1024

/**
 * Splits bytes at a separator, all at once. A call of `indexOf` for each frame would cost more than all else that is done
 * to a short line.
 */
export interface Splitter {
  /** `starts[i]` is where frame i starts. Behind the last frame stands where the next one would start. */
  readonly starts: Int32Array
  /** `ends[i]` is the index behind frame i. Behind the last frame stands how many of them have lost a `dropped`. */
  readonly ends: Int32Array
  /**
   * Finds the frames in `bytes[from, end)`. `starts` and `ends` hold them until the next call.
   * @param from where the first frame starts
   * @param known so many bytes from there are known to hold no separator, and are not searched again. The others are at
   *   most {@link MAX_SPLIT_LENGTH}
   * @param dropped a byte that is no part of a frame where it stands before a separator; 256 for none
   * @param most so many frames are enough, at most {@link MAX_SPLIT_COUNT}
   * @returns how many frames were found
   */
  split(bytes: Buffer, from: number, known: number, separator: number, dropped: number, most: number): number
}

/**
 * A splitter with a memory of its own, for one thread. It compares 64 bytes at a time where WebAssembly can be had
 * (Node.js without `--jitless`, and room for its memory), else it does the same with `indexOf`.
 */
export function createSplitter(): Splitter {
  try {
    return createFastSplitter()
  } catch {
    return createPlainSplitter()
  }
}

/** @throws when there is no WebAssembly, or no memory for it */
export function createFastSplitter(): Splitter {
  const module = new WebAssembly.Module(Buffer.from(SPLIT_MODULE, 'base64'))
  const { memory, split } = new WebAssembly.Instance(module).exports
  const input = new Uint8Array(memory.buffer, 0, MAX_SPLIT_LENGTH + 1)
  return {
    starts: new Int32Array(memory.buffer, STARTS, MAX_SPLIT_COUNT + 1),
    ends: new Int32Array(memory.buffer, ENDS, MAX_SPLIT_COUNT + 1),
    split(bytes, from, known, separator, dropped, most) {
      // With the byte before what is searched, which may be one to drop.
      const base = known > 0 ? from + known - 1 : from
      input.set(base === 0 ? bytes : bytes.subarray(base))
      return split(separator, dropped, bytes.length - base, base, from, most)
    },
  }
}

export function createPlainSplitter(): Splitter {
  const starts = new Int32Array(MAX_SPLIT_COUNT + 1)
  const ends = new Int32Array(MAX_SPLIT_COUNT + 1)
  return {
    starts,
    ends,
    split(bytes, from, known, separator, dropped, most) {
      let count = 0
      let drops = 0
      let start = from
      let at = bytes.indexOf(separator, from + known)
      while (at !== -1 && count < most) {
        const drop = at > start && bytes[at - 1] === dropped
        starts[count] = start
        ends[count] = drop ? at - 1 : at
        if (drop) drops++
        count++
        start = at + 1
        at = bytes.indexOf(separator, start)
      }
      starts[count] = start
      ends[count] = drops
      return count
    },
  }
}

/** What is used of WebAssembly, whose types come with browsers only; and what split.wat exports. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (
    module: object,
  ) => {
    readonly exports: {
      readonly memory: { readonly buffer: ArrayBuffer }
      split(separator: number, dropped: number, length: number, base: number, start: number, most: number): number
    }
  }
}

/** Where split.wat has its results. */
const STARTS = 0x20100
const ENDS = 0x22100
