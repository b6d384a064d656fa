import { defineFormat } from '../contracts/define.ts'
import { type Format, invalidAt } from '../contracts/format.ts'
import { z } from '../contracts/schema.ts'
import { bytesToPrint } from './bytes-to-print.ts'

/** Bytes that travel as base64 (RFC 4648, sections 4 and 5). */
export const base64 = defineFormat({
  name: 'base64',
  summary: 'The frame is base64, and the value is the bytes that it stands for.',
  details: `Strict (RFC 4648): the padding must be there, blanks and line ends are refused, and so are bits behind the
last byte that are not zero. So a frame that was cut or damaged is found, and each value has exactly one way to be
written.

The value is bytes, and only bytes can be written: for a text say \`bytes(msg.text)\`. To read a text that travels as
base64, say \`text(msg)\` in the dataflow.`,
  options: z.strictObject({
    url: z
      .boolean()
      .default(false)
      .describe('The alphabet for addresses and file names, with - and _ and without padding. Default false.'),
    blanks: z
      .boolean()
      .default(false)
      .describe('Takes blanks and line ends anywhere, as e-mail has them. They are not written. Default false.'),
  }),
  examples: [
    { title: 'Two bytes', bytes: 'Df8=', value: Buffer.from([0x0d, 0xff]) },
    { title: 'Nothing', bytes: '', value: Buffer.alloc(0) },
    { title: 'For addresses', options: { url: true }, bytes: '-_8', value: Buffer.from([0xfb, 0xff]) },
    {
      title: 'In lines',
      options: { blanks: true },
      bytes: 'AAEC\\r\\nAwQ=\\r\\n',
      value: Buffer.from([0, 1, 2, 3, 4]),
      prints: 'AAECAwQ=',
    },
  ],
  rejects: [
    'A',
    'AA',
    'AAA',
    'AA=A',
    'AA==AA==',
    'AAAA=',
    '====',
    'AB==',
    'AAB=',
    'AA-_',
    'AA A',
    ' AAAA',
    'AAAA\\n',
    '\\xc3\\xa4AA',
  ],
  create({ url, blanks }): Format<Buffer> {
    const name = url ? 'base64url' : 'base64'
    const foreign = createForeign(url, blanks)
    return {
      parse(bytes, start, end) {
        const text = bytes.toString('latin1', start, end)
        const digits = blanks ? text.replaceAll(/[\t\n\r ]/g, '') : text
        const value = Buffer.from(digits, name)
        if (value.toString(name) === digits) return value
        const wrong = text.search(foreign)
        if (wrong !== -1) throw invalidAt('not a digit of base64', bytes, start, end, start + wrong)
        throw invalidAt(endFault(digits, url), bytes, start, end, end - 1)
      },
      print: (value) => bytesToPrint(value, 'base64').toString(name),
    }
  },
})

/** A character that may not stand where it stands: `=` is good at the end of what is padded. */
function createForeign(url: boolean, blanks: boolean): RegExp {
  const space = blanks ? '\\s' : ''
  return url ? new RegExp(`[^\\w${space}-]`) : new RegExp(`[^A-Za-z\\d+/=${space}]|=(?!=?[${space}]*$)`)
}

/** What is wrong where every character may stand in base64. */
function endFault(digits: string, url: boolean): string {
  if (!url && digits.length % 4 !== 0) return 'the base64 is cut off: its length is no multiple of 4'
  if (digits.length % 4 === 1) return 'the base64 is cut off: one digit is too few for a byte'
  return 'bits behind the last byte that are not zero'
}
