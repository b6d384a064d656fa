import type { Header } from './counted.ts'

/** Most digits of a length; so it stays exact, and no header can be endless. */
export const MAX_DIGITS = 10

/** What {@link readCount} gives where there is no length. */
export const NO_COUNT = -1

/**
 * Reads a length in decimal digits, without needless zeros in front, that ends with a sign.
 * @param sign the byte behind the digits
 * @param header gets the length
 * @returns how many digits it has; 0 when its end is not there yet; {@link NO_COUNT} when this is no length
 */
export function readCount(bytes: Buffer, from: number, to: number, sign: number, header: Header): number {
  let value = 0
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!
    const digits = at - from
    if (byte === sign && digits > 0) {
      header.length = value
      return digits
    }
    const hasNeedlessZero = digits > 0 && bytes[from] === ZERO
    if (byte < ZERO || byte > NINE || digits === MAX_DIGITS || hasNeedlessZero) return NO_COUNT
    value = value * 10 + byte - ZERO
  }
  return 0
}

const ZERO = 48
const NINE = 57
