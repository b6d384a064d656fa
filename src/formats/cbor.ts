import { defineFormat } from '../contracts/define.ts'
import type { Format } from '../contracts/format.ts'
import { z } from '../contracts/schema.ts'
import { parseCbor } from './cbor-reader.ts'
import { printCbor } from './cbor-writer.ts'

/** CBOR (RFC 8949), one data item per frame. */
export const cbor = defineFormat({
  name: 'cbor',
  summary: 'The frame is one value in CBOR.',
  details: `There is one type of number: an integer above 2^53, a bignum too, is a text, so that it keeps its digits.
It is written as a text again. A byte string is bytes, null and undefined are null. A key of a map that is a number or
a boolean is a text; any other is refused. Lists, maps and strings without a length are read.

A tag that says time (0 and 1) gives a time with milliseconds (finer parts are lost), bignums (2 and 3) of at most
1024 bytes give an integer, and the mark that says "this is CBOR" (55799) is taken away. A value with another tag is
\`{ tag: 32, value: … }\`, and is written as a map.

Refused are a key that comes twice, the key \`__proto__\`, texts that are not UTF-8, bytes behind the value, lengths
that the frame does not have, and simple values that have no meaning.

Numbers are written in the shortest form of an integer, or as a 64-bit float; keys without a value are left out.

CBOR says itself where it ends, TCP does not: use a framing, most often \`length-prefix\`.`,
  options: z.strictObject({
    maxDepth: z
      .int()
      .min(1)
      .max(1000)
      .default(64)
      .describe('How deep maps, lists and tags may be nested; a frame that is deeper is refused. Default 64.'),
  }),
  examples: [
    { title: 'A map', bytes: '\\xa2bid\\x07dtemp\\xfb@7\\x80\\0\\0\\0\\0\\0', value: { id: 7, temp: 23.5 } },
    { title: 'A list', bytes: '\\x84\\xf6\\xf5 B\\x01\\x02', value: [null, true, -1, Buffer.from([1, 2])] },
    {
      title: 'Without a length, and with a short float',
      bytes: '\\xbfbid\\x9f\\x01\\xf9M\\xe0\\xff\\xff',
      value: { id: [1, 23.5] },
      prints: '\\xa1bid\\x82\\x01\\xfb@7\\x80\\0\\0\\0\\0\\0',
    },
    {
      title: 'A number that would lose digits',
      bytes: '\\x1b\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff',
      value: '18446744073709551615',
      prints: 't18446744073709551615',
    },
    { title: 'A time', bytes: '\\xc1\\x1ae\\x92\\0\\x80', value: new Date('2024-01-01T00:00:00.000Z') },
  ],
  rejects: [
    '',
    '\\x01\\x01',
    '\\x1c',
    '\\x1f',
    'ba',
    'a\\xff',
    '\\xa1aa',
    '\\xa2aa\\x01aa\\x02',
    '\\xa1i__proto__\\xa0',
    '\\xa1\\x80\\x01',
    '\\x9b\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff',
    '\\x9a\\xff\\xff\\xff\\xff',
    '\\xba\\xff\\xff\\xff\\xff\\x01',
    '\\x7a\\xff\\xff\\xff\\xffa',
    '\\x5a\\xff\\xff\\xff\\xff',
    '\\x9f\\x01',
    '\\xbfaa\\xff',
    '\\xff',
    '\\x81\\xff',
    '_aa\\xff',
    '_\\x5f\\xff\\xff',
    '\\xe0',
    '\\xf8\\x14',
    '\\xc1aa',
    '\\xc0aa',
    '\\xc2\\x01',
    `${'\\x81'.repeat(65)}\\x01`,
    `${'\\xc6'.repeat(65)}\\x01`,
    `${'\\x9f'.repeat(65)}`,
  ],
  create({ maxDepth }): Format {
    return {
      parse: (bytes, start, end) => parseCbor(bytes, start, end, maxDepth),
      print: (value) => printCbor(value, maxDepth),
    }
  },
})
