import { expect } from 'vitest'
import { struct } from '../../src/formats/struct.ts'

/** What a user writes; a field with a mistake has no type. */
export type Written = Readonly<Record<string, unknown>>

/** The format with these fields. */
export const create = (fields: readonly Written[], endian = 'big') =>
  struct.create(struct.options.parse({ endian, fields }))
/** Bytes from hexadecimal digits with blanks. */
export const bytesOf = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex')

/** The value of a frame. */
export function read(fields: readonly Written[], hex: string, endian?: string): unknown {
  const bytes = bytesOf(hex)
  return create(fields, endian).parse(bytes, 0, bytes.length)
}

/** The frame of a value, in hexadecimal digits. */
export function write(fields: readonly Written[], value: unknown, endian?: string): string {
  return (create(fields, endian).print(value as never) as Buffer).toString('hex')
}

/** The mistakes of a layout: where, and what. */
export function problems(...fields: readonly Written[]): string[] {
  const { error } = struct.options.safeParse({ fields })
  return error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? []
}

export const invalid = (message: string) =>
  expect.objectContaining({ code: 'format_invalid', message: expect.stringContaining(message) })
export const notPrintable = (message: string) =>
  expect.objectContaining({ code: 'format_not_printable', message: expect.stringContaining(message) })
