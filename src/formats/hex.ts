import { defineFormat } from '../contracts/define.ts'
import { type Format, invalidAt } from '../contracts/format.ts'
import { z } from '../contracts/schema.ts'
import { bytesToPrint } from './bytes-to-print.ts'

/** Bytes that travel as hexadecimal digits. */
export const hex = defineFormat({
  name: 'hex',
  summary: 'The frame is hexadecimal digits, and the value is the bytes that they stand for.',
  details: `Upper and lower case are read, lower case is written. Blanks and other characters between the digits are refused.

The value is bytes, and only bytes can be written: for a text say \`bytes(msg.text)\`.`,
  options: z.strictObject({}),
  examples: [
    { title: 'Two bytes', bytes: '0dff', value: Buffer.from([0x0d, 0xff]) },
    { title: 'Upper case is read too', bytes: 'C0FFEE', value: Buffer.from([0xc0, 0xff, 0xee]), prints: 'c0ffee' },
    { title: 'Nothing', bytes: '', value: Buffer.alloc(0) },
  ],
  rejects: ['0', '0d0', '0g', 'g0', '0d 0a', ' 0d', '0d\\n', '0x0d', '\\xb0\\xb1'],
  create(): Format<Buffer> {
    return { parse, print: (value) => bytesToPrint(value, 'hex').toString('hex') }
  },
})

function parse(bytes: Buffer, start: number, end: number): Buffer {
  const digits = bytes.toString('latin1', start, end)
  const value = Buffer.from(digits, 'hex')
  if (value.length * 2 === digits.length) return value
  const wrong = digits.search(/[^\da-f]/i)
  if (wrong === -1) throw invalidAt('half a byte: an odd number of hexadecimal digits', bytes, start, end, end - 1)
  throw invalidAt('not a hexadecimal digit', bytes, start, end, start + wrong)
}
