import { SluiceError } from '../contracts/errors.ts'

/**
 * The bytes that a format which writes only bytes was given.
 * @param format its name, for the error
 * @returns a view of them
 * @throws SluiceError `format_not_printable` for any other value
 */
export function bytesToPrint(value: unknown, format: string): Buffer {
  if (Buffer.isBuffer(value)) return value
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  const what = value === null ? 'null' : typeof value
  throw new SluiceError('format_not_printable', `the format ${format} writes bytes, and this is ${what}`, {
    hint: 'Make bytes of it: bytes(…).',
  })
}
