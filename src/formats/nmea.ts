import { isDeepStrictEqual } from 'node:util'
import { defineFormat } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import { type Format, invalidAt } from '../contracts/format.ts'
import { isRecord } from '../contracts/record.ts'
import { z } from '../contracts/schema.ts'
import { checksums } from '../util/checksum.ts'
import { suggest } from '../util/suggest.ts'
import { NmeaFault, readValues } from './nmea-values.ts'

/** A sentence; the values with names of its type stand beside these. */
export interface NmeaSentence {
  readonly start: Start
  readonly talker: string
  readonly type: string
  readonly fields: readonly string[]
  /** Two hexadecimal digits; null when there is none. */
  readonly checksum: string | null
  readonly [value: string]: unknown
}

type Start = '$' | '!'

/** Sentences of NMEA 0183, with which GPS receivers and ships' instruments speak. */
export const nmea = defineFormat({
  name: 'nmea',
  summary: 'The frame is a sentence of NMEA 0183, such as a GPS receiver sends.',
  details: `\`talker\` and \`type\` are the parts of the address (\`GP\` and \`RMC\`), \`fields\` the list of fields behind it, as texts;
\`fields[0]\` is what manuals call field 1. A proprietary sentence has the talker \`P\`.

Some sentences have values with names as well. What is empty is null:

| type | values |
|---|---|
| RMC | \`time\`, \`timestamp\`, \`valid\`, \`lat\`, \`lon\`, \`speed\`, \`course\`, \`variation\` |
| GGA | \`time\`, \`lat\`, \`lon\`, \`quality\`, \`satellites\`, \`hdop\`, \`altitude\`, \`geoid\` |
| GLL | \`time\`, \`valid\`, \`lat\`, \`lon\` |
| VTG | \`course\`, \`courseMagnetic\`, \`speed\`, \`speedKmh\` |
| GSA | \`fix\`, \`used\` (a list of satellites), \`pdop\`, \`hdop\`, \`vdop\` |
| GSV | \`part\`, \`parts\`, \`inView\`, \`visible\` (a list of \`satellite\`, \`elevation\`, \`azimuth\`, \`snr\`) |
| ZDA | \`time\`, \`timestamp\` |
| HDT | \`heading\` |

\`lat\` and \`lon\` are degrees, north and east positive. \`speed\` is in knots, \`altitude\` in metres, \`course\` in degrees.
\`timestamp\` is UTC in RFC 3339; \`time\` is the time of the day alone. \`valid\` is false when the receiver has no position.

A checksum that is wrong is always refused. A sentence is written from \`talker\`, \`type\` and \`fields\`, with its checksum.
Values with names are not written: a value in which they differ from its fields is refused.

AIS (\`!AIVDM\`) is read as fields; the payload stays as it is. Use it with the framing \`line\`.`,
  options: z.strictObject({
    checksum: z
      .enum(['require', 'accept'])
      .default('require')
      .describe(
        'Whether there must be a checksum: `require`, or `accept` a sentence without one too. Default require.',
      ),
  }),
  short: 'checksum',
  examples: [
    {
      title: 'A position',
      bytes: '$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A',
      value: {
        start: '$',
        talker: 'GP',
        type: 'RMC',
        fields: ['123519', 'A', '4807.038', 'N', '01131.000', 'E', '022.4', '084.4', '230394', '003.1', 'W'],
        checksum: '6A',
        time: '12:35:19',
        timestamp: '1994-03-23T12:35:19Z',
        valid: true,
        lat: 48.1173,
        lon: 11.516666667,
        speed: 22.4,
        course: 84.4,
        variation: -3.1,
      },
    },
    {
      title: 'A heading',
      bytes: '$GPHDT,274.07,T*03',
      value: { start: '$', talker: 'GP', type: 'HDT', fields: ['274.07', 'T'], checksum: '03', heading: 274.07 },
    },
    {
      title: 'AIS',
      bytes: '!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C',
      value: {
        start: '!',
        talker: 'AI',
        type: 'VDM',
        fields: ['1', '1', '', 'B', '177KQJ5000G?tO`K>RA1wUbN0TKH', '0'],
        checksum: '5C',
      },
    },
    {
      title: 'A sentence without checksum',
      options: { checksum: 'accept' },
      bytes: '$PGRME,15.0,M',
      value: { start: '$', talker: 'P', type: 'GRME', fields: ['15.0', 'M'], checksum: null },
    },
  ],
  rejects: [
    '',
    'hello',
    '$',
    '$GP*17',
    '$GPHDT,274.07,T',
    '$GPHDT,274.07,T*04',
    '$GPHDT,274.07,T*3',
    '$GPHDT,274.07,T*03x',
    '$gphdt,1,T*01',
    '$GPHDT,\\xff*00',
    '$GPHDT,x,T*4E',
  ],
  create: ({ checksum }): Format<NmeaSentence> => ({
    parse(bytes, start, end) {
      const text = bytes.toString('latin1', start, end)
      const refuse = (problem: string, index: number) => invalidAt(problem, bytes, start, end, start + index)
      const address = ADDRESS.exec(text)
      if (address === null)
        throw refuse('a sentence begins with $ or ! and an address such as GPRMC, and here it does not', 0)
      const star = text.indexOf('*')
      const body = star === -1 ? text : text.slice(0, star)
      const stated = star === -1 ? null : text.slice(star + 1)
      const wrong = body.search(/[^\x20-\x7e]/)
      if (wrong !== -1) throw refuse('a sentence is visible ASCII, and this is not,', wrong)
      if (stated === null && checksum === 'require') throw refuse('there is no checksum', text.length)
      if (stated !== null && stated.toUpperCase() !== checksumOf(body)) {
        throw refuse(
          `the checksum is ${JSON.stringify(stated)}, and that of the sentence is ${checksumOf(body)},`,
          star,
        )
      }
      const fields = body.split(',').slice(1)
      try {
        return sentenceOf(text[0] as Start, address[1]!, fields, stated?.toUpperCase() ?? null)
      } catch (error) {
        if (!(error instanceof NmeaFault)) throw error
        const before = body.split(',', error.field).join(',').length + 1
        throw refuse(`${address[1]}: ${error.message}`, before)
      }
    },
    print,
  }),
})

const ADDRESS = /^[$!]([A-Z\d]{3,})(?=[,*]|$)/

/** XOR of all between the first character and the asterisk. */
function checksumOf(body: string): string {
  const number = checksums.xor.compute(Buffer.from(body, 'latin1'), 1)
  return number.toString(16).toUpperCase().padStart(2, '0')
}

/** @throws NmeaFault */
function sentenceOf(start: Start, address: string, fields: readonly string[], checksum: string | null): NmeaSentence {
  const length = address.startsWith('P') ? 1 : 2
  const [talker, type] = [address.slice(0, length), address.slice(length)]
  return { start, talker, type, fields, checksum, ...readValues(type, fields) }
}

function print(value: unknown): string {
  if (!isRecord(value)) throw notPrintable('a sentence is written from an object with talker, type and fields')
  const given = value as Partial<NmeaSentence>
  const { talker = '', type = '', fields, start = type === 'VDM' || type === 'VDO' ? '!' : '$', checksum } = given
  const address = `${talker}${type}`
  if (!ADDRESS.test(`${start}${address}`)) throw notPrintable(`${start}${address} is no address such as $GPRMC`)
  if (!Array.isArray(fields)) throw notPrintable('a sentence has a list of fields')
  const texts = fields.map((field: unknown, i) => {
    if (typeof field === 'object' && field !== null) throw notPrintable(`field ${i + 1} is no text and no number`)
    const text = String(field ?? '')
    if (/^[\x20-\x29\x2b\x2d-\x7e]*$/.test(text)) return text
    throw notPrintable(`field ${i + 1} has a character that a sentence cannot hold`)
  })
  requireEqual(given, start, address, texts)
  const body = [`${start}${address}`, ...texts].join(',')
  return checksum === null ? body : `${body}*${checksumOf(body)}`
}

/** Values with names are read from the fields, so a change of one of them would be lost. */
function requireEqual(given: Partial<NmeaSentence>, start: Start, address: string, fields: readonly string[]): void {
  const sentence = readBack(start, address, fields)
  for (const [key, value] of Object.entries(given)) {
    if (OWN.includes(key)) continue
    if (!Object.hasOwn(sentence, key)) {
      const near = suggest(key, [...OWN, ...Object.keys(sentence)])
      throw notPrintable(`the sentence has no ${key}`, near === undefined ? 'Leave it out.' : `Did you mean ${near}?`)
    }
    if (!isDeepStrictEqual(sentence[key], value))
      throw notPrintable(`${key} is not what the fields say`, 'Change the fields.')
  }
}

const OWN: readonly string[] = ['start', 'talker', 'type', 'fields', 'checksum']

function readBack(start: Start, address: string, fields: readonly string[]): NmeaSentence {
  try {
    return sentenceOf(start, address, fields, null)
  } catch (error) {
    throw error instanceof NmeaFault ? notPrintable(`${address}: ${error.message}`) : error
  }
}

function notPrintable(message: string, hint?: string): SluiceError {
  return new SluiceError('format_not_printable', message, hint === undefined ? {} : { hint })
}
