/** A source of random test data that repeats exactly for equal seeds. */
export interface Random {
  /** A whole number in [min, max]. */
  int(min: number, max: number): number
  /** `length` random bytes in a new buffer. */
  bytes(length: number): Buffer
  /** One element of a list that is not empty. */
  pick<T>(list: readonly T[]): T
}

/** Starts a generator (mulberry32: 32 bits of state, which is plenty for test data and fast). */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  function int(min: number, max: number): number {
    return min + Math.floor((next() / 0x1_0000_0000) * (max - min + 1))
  }
  return {
    int,
    bytes(length) {
      const bytes = Buffer.allocUnsafe(length)
      for (let i = 0; i < length; i++) bytes[i] = next() >>> 24
      return bytes
    },
    pick<T>(list: readonly T[]): T {
      return list[int(0, list.length - 1)]!
    },
  }
}
