import { SluiceError } from '../contracts/errors.ts'

/**
 * Most bytes of a varint: ten groups of seven bits hold 64 bits (protobuf.dev, "Encoding", section "Base 128 Varints").
 */
export const MAX_VARINT = 10

/**
 * Reads an unsigned varint.
 * @returns its value, which is not exact above 2^53, and how many bytes it has; undefined when it is not whole yet
 * @throws SluiceError `frame_invalid` when it has more than {@link MAX_VARINT} bytes
 */
export function readVarint(bytes: Buffer, from: number, to: number): { value: number; size: number } | undefined {
  let value = 0
  let weight = 1
  for (let size = 1; size <= MAX_VARINT; size++, weight *= 128) {
    if (from + size > to) return undefined
    const byte = bytes[from + size - 1]!
    value += (byte & 0x7f) * weight
    if (byte < 0x80) return { value, size }
  }
  throw new SluiceError('frame_invalid', `a varint has more than ${MAX_VARINT} bytes`, {
    hint: 'Check that the device sends a varint in front of each message.',
  })
}

/** @param value a whole number, not negative */
export function varintOf(value: number): Buffer {
  const bytes: number[] = []
  let left = value
  for (; left >= 0x80; left = Math.floor(left / 128)) bytes.push((left % 128) | 0x80)
  return Buffer.from([...bytes, left])
}
