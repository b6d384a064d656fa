import { defineFormat } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Format } from '../contracts/format.ts'
import { z } from '../contracts/schema.ts'

/** The frame as it is. */
export const bytes = defineFormat({
  name: 'bytes',
  summary: 'The value is the bytes of the frame.',
  details: `Every frame is valid. Read the value with the functions for bytes: \`u16be(msg, 2)\`, \`slice(msg, 0, 4)\`.

Bytes are written as they are and text as UTF-8; any other value cannot be written.`,
  options: z.strictObject({}),
  examples: [
    { title: 'Any bytes', bytes: '\\x02\\x00\\xff\\x03', value: Buffer.from([2, 0, 255, 3]) },
    { title: 'Nothing', bytes: '', value: Buffer.alloc(0) },
  ],
  rejects: [],
  create(): Format<Buffer> {
    return {
      identity: true,
      parse: (bytes, start, end) => bytes.subarray(start, end),
      print,
      acceptsAll: () => true,
    }
  },
})

function print(value: unknown): string | Buffer {
  if (Buffer.isBuffer(value)) return value
  if (typeof value === 'string' && value.isWellFormed()) return value
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  const what = typeof value === 'string' ? 'a text with half a surrogate pair' : value === null ? 'null' : typeof value
  throw new SluiceError('format_not_printable', `the format bytes writes bytes or text, and this is ${what}`)
}
