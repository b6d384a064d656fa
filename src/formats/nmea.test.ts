import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checksums } from '../util/checksum.ts'
import { nmea } from './nmea.ts'

const create = (checksum?: string) => nmea.create(nmea.options.parse(checksum === undefined ? {} : { checksum }))
const strict = create()
const lenient = create('accept')

function parse(content: string, format = lenient): Readonly<Record<string, unknown>> {
  const bytes = Buffer.from(content, 'latin1')
  return format.parse(bytes, 0, bytes.length)
}

const print = (value: unknown) => lenient.print(value as never)
const withChecksum = (body: string) =>
  `${body}*${checksums.xor.compute(Buffer.from(body), 1).toString(16).padStart(2, '0')}`

describe('values', () => {
  test.each<[string, Readonly<Record<string, unknown>>]>([
    [
      '$GNRMC,001031.00,A,4404.13993,N,12118.86023,W,0.146,,100117,,,A*7B',
      {
        talker: 'GN',
        time: '00:10:31',
        timestamp: '2017-01-10T00:10:31Z',
        lat: 44.068998833,
        lon: -121.314337167,
        speed: 0.146,
        course: null,
        variation: null,
      },
    ],
    ['$GPRMC,,V,,,,,,,,,,N*53', { time: null, timestamp: null, valid: false, lat: null, lon: null, speed: null }],
    [
      '$GPRMC,123519.250,A,0000.000,S,00000.000,W,,,311299,,',
      { timestamp: '1999-12-31T12:35:19.250Z', lat: 0, lon: 0 },
    ],
    [
      '$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47',
      {
        time: '12:35:19',
        lat: 48.1173,
        lon: 11.516666667,
        quality: 1,
        satellites: 8,
        hdop: 0.9,
        altitude: 545.4,
        geoid: 46.9,
      },
    ],
    ['$GPGLL,4916.45,N,12311.12,W,225444,A', { lat: 49.274166667, lon: -123.185333333, time: '22:54:44', valid: true }],
    ['$GPVTG,054.7,T,034.4,M,005.5,N,010.2,K*48', { course: 54.7, courseMagnetic: 34.4, speed: 5.5, speedKmh: 10.2 }],
    [
      '$GPGSA,A,3,04,05,,09,12,,,24,,,,,2.5,1.3,2.1*39',
      { fix: 3, used: [4, 5, 9, 12, 24], pdop: 2.5, hdop: 1.3, vdop: 2.1 },
    ],
    [
      '$GPGSV,2,1,08,01,40,083,46,02,17,308,,12,07,344,39,14,22,228,45',
      {
        part: 1,
        parts: 2,
        inView: 8,
        visible: [
          { satellite: 1, elevation: 40, azimuth: 83, snr: 46 },
          { satellite: 2, elevation: 17, azimuth: 308, snr: null },
          { satellite: 12, elevation: 7, azimuth: 344, snr: 39 },
          { satellite: 14, elevation: 22, azimuth: 228, snr: 45 },
        ],
      },
    ],
    ['$GPGSV,1,1,00,1', { visible: [] }],
    ['$GPZDA,201530.00,04,07,2002,00,00*60', { time: '20:15:30', timestamp: '2002-07-04T20:15:30Z' }],
    ['$GPZDA,201530.00,,07,2002', { time: '20:15:30', timestamp: null }],
    ['$HEHDT,341.8,T', { heading: 341.8 }],
    ['$GPTXT,01,01,02,hello', { fields: ['01', '01', '02', 'hello'] }],
    ['$GPRMC', { fields: [], lat: null }],
  ])('%s', (content, expected) => {
    const value = parse(content)
    expect(value).toMatchObject(expected)
    expect(parse(print(value) as string)).toEqual(value)
  })

  test.each([
    ['$GPRMC,250000,A', 'GPRMC: field 1 is "250000" instead of a time such as 123519.00 at byte 7'],
    ['$GPRMC,123519,X', 'GPRMC: field 2 is "X" instead of A or V at byte 14'],
    ['$GPRMC,123519,A,4860.000,N', 'field 3 is "4860.000" instead of at most 90 degrees at byte 16'],
    ['$GPRMC,123519,A,9100.000,N', 'field 3 is "9100.000" instead of at most 90 degrees'],
    ['$GPRMC,123519,A,4807.038,E', 'field 4 is "E" instead of N or S at byte 25'],
    ['$GPRMC,123519,A,,,,,,,310299', 'field 9 is "310299" instead of a date that exists'],
    ['$GPRMC,123519,A,,,,1e5', 'field 6 is "1e5" instead of E or W'],
    ['$GPGGA,,,,,,,1e5', 'field 7 is "1e5" instead of a number'],
    [`$GPHDT,${'9'.repeat(50)}x`, `field 1 is "${'9'.repeat(40)}" instead of a number`],
    ['$GPZDA,201530,31,02,2002', 'field 2 is "31" instead of a date that exists at byte 14'],
    ['$GPHDT,\xff', 'a sentence is visible ASCII, and this is not, at byte 7'],
    ['$GPHDT,1\r', 'a sentence is visible ASCII, and this is not, at byte 8'],
    ['\\g:1*00\\$GPHDT,1', 'a sentence begins with $ or ! and an address'],
    ['$gphdt,1', 'a sentence begins with $ or ! and an address'],
  ])('%s is refused: %s', (content, message) => {
    expect(() => parse(content)).toThrow(
      expect.objectContaining({ code: 'format_invalid', message: expect.stringContaining(message) }),
    )
  })

  test('a number of ten million digits is read once and is a number', () => {
    expect(parse(`$GPHDT,${'0'.repeat(10_000_000)}7,T`)['heading']).toBe(7)
  })
})

describe('the checksum', () => {
  test('may be written in small letters, and is required unless told otherwise', () => {
    expect(parse('$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6a', strict)['checksum']).toBe('6A')
    expect(() => parse('$GPHDT,1,T', strict)).toThrow('there is no checksum at byte 10')
    expect(parse('$GPHDT,1,T')['checksum']).toBeNull()
  })

  test.each(['*', '*0', '*000', '*zz', '*04'])('%s is wrong, whatever the option says', (end) => {
    for (const format of [strict, lenient])
      expect(() => parse(`$GPHDT,274.07,T${end}`, format)).toThrow('and that of the sentence is 03, at byte 15')
  })

  test('finds every changed character', () => {
    const sentence = Buffer.from(withChecksum('$GPTXT,01,01,02,hello'))
    // The first is not part of the checksum: `!` instead of `$` is another kind of sentence.
    for (let at = 1; at < sentence.length; at++) {
      for (let change = 1; change <= 127; change++) {
        const changed = Buffer.from(sentence)
        changed[at]! ^= change
        // The hexadecimal digits may be written in small letters.
        if (changed.toString('latin1').toUpperCase() === sentence.toString('latin1').toUpperCase()) continue
        expect(() => strict.parse(changed, 0, changed.length), `${at} ^ ${change}`).toThrow(
          expect.objectContaining({ code: 'format_invalid' }),
        )
      }
    }
  })
})

describe('writing', () => {
  test('any fields, with their checksum', () => {
    const field = fc.stringMatching(/^[ -)+\--~]{0,12}$/)
    fc.assert(
      fc.property(fc.array(field), fc.constantFrom('TXT', 'VDM'), (fields, type) => {
        const written = print({ talker: 'AI', type, fields }) as string
        expect(parse(written, strict)).toMatchObject({ start: type === 'VDM' ? '!' : '$', talker: 'AI', type, fields })
      }),
    )
    expect(print({ talker: 'P', type: 'ABC', fields: [1.5, null, true] })).toBe(
      withChecksum('$PABC,1.5,,true').replace(/..$/, (hex) => hex.toUpperCase()),
    )
  })

  test.each([
    [null, 'a sentence is written from an object'],
    [[], 'a sentence is written from an object'],
    [{ talker: 'GP' }, '$GP is no address such as $GPRMC'],
    [{ talker: 'gp', type: 'RMC', fields: [] }, '$gpRMC is no address'],
    [{ talker: 'GP', type: 'RMC' }, 'a sentence has a list of fields'],
    [{ talker: 'GP', type: 'TXT', fields: ['a', 'b*c'] }, 'field 2 has a character'],
    [{ talker: 'GP', type: 'TXT', fields: ['é'] }, 'field 1 has a character'],
    [{ talker: 'GP', type: 'HDT', fields: ['x'] }, 'GPHDT: field 1 is "x" instead of a number'],
    [{ talker: 'GP', type: 'HDT', fields: ['1'], heading: 2 }, 'heading is not what the fields say'],
    [{ talker: 'GP', type: 'HDT', fields: ['1'], haeding: 1 }, 'the sentence has no haeding'],
    [{ talker: 'GP', type: 'HDT', fields: ['1'], zzzzzz: 1 }, 'the sentence has no zzzzzz'],
  ])('%j is refused', (value, message) => {
    expect(() => print(value)).toThrow(
      expect.objectContaining({ code: 'format_not_printable', message: expect.stringContaining(message) }),
    )
  })
})
