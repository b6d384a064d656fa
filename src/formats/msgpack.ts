import { defineFormat } from '../contracts/define.ts'
import type { Format } from '../contracts/format.ts'
import { z } from '../contracts/schema.ts'
import { parseMsgpack } from './msgpack-reader.ts'
import { printMsgpack } from './msgpack-writer.ts'

/** MessagePack (github.com/msgpack/msgpack, spec.md). */
export const msgpack = defineFormat({
  name: 'msgpack',
  summary: 'The frame is one value in MessagePack.',
  details: `There is one type of number: a 64-bit integer above 2^53 is a text, so that it keeps its digits. It is
written as a text again. Binary data is bytes, a timestamp is a time with milliseconds (finer parts are lost), nil is
null. A key of a map that is a number or a boolean is a text; any other is refused. A value of another extension type
is \`{ ext: 5, data: bytes }\`, and is written as a map.

Refused are a key that comes twice, the key \`__proto__\`, texts that are not UTF-8, bytes behind the value, and
lengths that the frame does not have.

Numbers are written in the shortest form that keeps them; keys without a value are left out.

MessagePack says itself where it ends, TCP does not: use a framing, most often \`length-prefix\`.`,
  options: z.strictObject({
    maxDepth: z
      .int()
      .min(1)
      .max(1000)
      .default(64)
      .describe('How deep maps and lists may be nested; a frame that is deeper is refused. Default 64.'),
  }),
  alsoCalled: ['messagepack', 'mpack'],
  examples: [
    { title: 'A map', bytes: '\\x82\\xa2id\\x07\\xa4temp\\xcb@7\\x80\\0\\0\\0\\0\\0', value: { id: 7, temp: 23.5 } },
    {
      title: 'A list',
      bytes: '\\x94\\xc0\\xc3\\xff\\xc4\\x02\\x01\\x02',
      value: [null, true, -1, Buffer.from([1, 2])],
    },
    {
      title: 'A number that would lose digits',
      bytes: '\\xcf\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff',
      value: '18446744073709551615',
      prints: '\\xb418446744073709551615',
    },
    {
      title: 'A time',
      bytes: '\\xd6\\xffe\\x92\\0\\x80',
      value: new Date('2024-01-01T00:00:00.000Z'),
    },
  ],
  rejects: [
    '',
    '\\xc1',
    '\\x01\\x01',
    '\\xa2a',
    '\\xa1\\xff',
    '\\x81\\xa1a',
    '\\x82\\xa1a\\x01\\xa1a\\x02',
    '\\x81\\xa9__proto__\\x80',
    '\\x81\\x90\\x01',
    '\\xdd\\xff\\xff\\xff\\xff',
    '\\xdf\\xff\\xff\\xff\\xff\\x01',
    '\\xdb\\xff\\xff\\xff\\xffa',
    '\\xc6\\xff\\xff\\xff\\xff',
    '\\xd4\\xff\\x01',
    '\\xd7\\xff\\xff\\xff\\xff\\xff\\0\\0\\0\\0',
    `${'\\x91'.repeat(65)}\\x01`,
  ],
  create({ maxDepth }): Format {
    return {
      parse: (bytes, start, end) => parseMsgpack(bytes, start, end, maxDepth),
      print: (value) => printMsgpack(value, maxDepth),
    }
  },
})
