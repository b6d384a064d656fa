import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hl7 } from './hl7.ts'
import type { Hl7Message } from './hl7-message.ts'

const create = (encoding?: string) => hl7.create(hl7.options.parse(encoding === undefined ? {} : { encoding }))
const format = create()

function parse(content: string | Buffer, from = format): Hl7Message {
  const bytes = Buffer.from(content as string)
  return from.parse(bytes, 0, bytes.length)
}

/** An admission and a laboratory result, with what such messages have. */
const A01 = [
  'MSH|^~\\&|ADT1|GOOD HEALTH HOSPITAL|GHH LAB|MCM|198808181126|SECURITY|ADT^A01^ADT_A01|MSG00001|P|2.5.1',
  'EVN|A01|200708181123||',
  'PID|1||PATID1234^5^M11^ADT1^MR^GOOD HEALTH HOSPITAL~123456789^^^USSSA^SS||EVERYMAN^ADAM^A^III||19610615|M||C|2222 HOME STREET^^GREENSBORO^NC^27401-1020|GL|(555) 555-2004',
  'NK1|1|NUCLEAR^NELDA^W|SPO^SPOUSE||||NK^NEXT OF KIN',
  'PV1|1|I|2000^2012^01||||004777^ATTEND^AARON^A|||SUR||||ADM|A0|',
  '',
].join('\r')
const R01 = [
  'MSH|^~\\&|GHH LAB|ELAB-3|GHH OE|BLDG4|200202150930||ORU^R01|CNTRL-3456|P|2.4',
  'PID|||555-44-4444||EVERYWOMAN^EVE^E^^^^L|JONES|19620320|F',
  'OBR|1|845439^GHH OE|1045813^GHH LAB|15545^GLUCOSE|||200202150730',
  'OBX|1|SN|1554-5^GLUCOSE^POST 12H CFST:MCNC:PT:SER/PLAS:QN||^182|mg/dl|70_105|H|||F',
  'OBX|2|TX|NOTE||AT\\T\\T \\F\\ A\\S\\B \\R\\ \\E\\ \\X4142\\ one\\.br\\two \\H\\loud\\N\\||||||F',
].join('\r')

describe('get', () => {
  test.each<[string, string | null]>([
    ['MSH-1', '|'],
    ['MSH-2', '^~\\&'],
    ['MSH-3', 'ADT1'],
    ['MSH-9', 'ADT^A01^ADT_A01'],
    ['MSH-9.2', 'A01'],
    ['MSH-10', 'MSG00001'],
    ['MSH-12', '2.5.1'],
    ['MSH-13', null],
    ['PID-1', '1'],
    ['PID-2', null],
    ['PID-3', 'PATID1234^5^M11^ADT1^MR^GOOD HEALTH HOSPITAL~123456789^^^USSSA^SS'],
    ['PID-3.1', 'PATID1234'],
    ['PID-3[2].1', '123456789'],
    ['PID-3[2]', '123456789^^^USSSA^SS'],
    ['PID-3[3].1', null],
    ['PID-5.1', 'EVERYMAN'],
    ['PID-5.1.1', 'EVERYMAN'],
    ['PID-5.1.2', null],
    ['PID-7.1', '19610615'],
    ['PID[1]-7', '19610615'],
    ['PID[2]-7', null],
    ['ZZZ-1', null],
    ['PID-400', null],
    ['PID-0', 'refused'],
    ['PID-3.0', 'refused'],
    ['PID[0]-3', 'refused'],
    ['pid-3', 'refused'],
    ['PID-3.1.2.3', 'refused'],
    ['', 'refused'],
  ])('%s of an ADT^A01 is %j', (path, expected) => {
    const message = parse(A01)
    if (expected !== 'refused') return expect(message.get(path)).toBe(expected)
    return expect(() => message.get(path)).toThrow(
      expect.objectContaining({
        code: 'expression_failed',
        message: expect.stringContaining('names no part of an HL7 message'),
      }),
    )
  })

  test('another way to write a path is answered with the right one', () => {
    expect(() => parse(A01).get('PID.3.1')).toThrow(expect.objectContaining({ hint: 'Write PID-3.1.' }))
    expect(() => parse(A01).segments[2]!.get('PID-3')).toThrow(
      expect.objectContaining({ hint: 'Write 5, 5.1 or 3[2].1.' }),
    )
  })

  test('of an ORU^R01: several segments of one name, and escapes', () => {
    const message = parse(R01)
    expect(message.get('OBX[1]-5.2')).toBe('182')
    expect(message.get('OBX[2]-3.1')).toBe('NOTE')
    expect(message.get('OBX[2]-5')).toBe('AT&T | A^B ~ \\ AB one\ntwo \\H\\loud\\N\\')
    expect(message.segments.filter(({ name }) => name === 'OBX').map((segment) => segment.get('2'))).toEqual([
      'SN',
      'TX',
    ])
    expect(message.get('OBR')).toBe(message.segments[2])
    expect(message.segments[1]!.fields[3]).toBe('555-44-4444')
  })

  test.each([
    ['a\\', 'a\\'],
    ['a\\F', 'a\\F'],
    ['\\X4\\', '\\X4\\'],
    ['\\Xc328\\', '\\Xc328\\'],
    ['\\Xc3a9\\', 'é'],
    ['\\constructor\\', '\\constructor\\'],
    ['\\E\\F\\E\\', '\\F\\'],
    ['""', '""'],
  ])('the escapes of %s', (field, expected) => {
    expect(parse(`MSH|^~\\&\rNTE|1||${field}`).get('NTE-3')).toBe(expected)
  })

  test('the separators are those of MSH', () => {
    const message = parse('MSH$%*!@#$LAB\rPID$1$$A@B%C*D$!F!!S!!T!!R!!P!\r')
    expect(message.get('PID-3[1].1.2')).toBe('B')
    expect(message.get('PID-3[2]')).toBe('D')
    expect(message.get('PID-4')).toBe('$%@*#')
    expect(parse('MSH|^\rPID|a~b^c').get('PID-1.1')).toBe('a~b')
    expect(parse('MSH|^~\\\rNTE|a\\F\\b').get('NTE-1')).toBe('a|b')
    expect(parse('FHS|^~\\&|A\rBHS|^~\\&|B\r').get('BHS-3')).toBe('B')
  })
})

describe('charset', () => {
  const named = (charset: string, bytes: Buffer) =>
    Buffer.concat([Buffer.from(`MSH|^~\\&${'|'.repeat(16)}${charset}\rNTE|`), bytes])
  test.each([
    ['', Buffer.from('é'), 'é'],
    ['UNICODE UTF-8', Buffer.from('é'), 'é'],
    ['8859/1', Buffer.from([0xe9]), 'é'],
    ['8859/1~UNICODE UTF-8', Buffer.from([0xe9]), 'é'],
    ['8859/15', Buffer.from([0xa4]), '€'],
    ['8859/2', Buffer.from([0xb1]), 'ą'],
    ['BIG-5', Buffer.from([0xa4, 0xa4]), '中'],
    ['ASCII', Buffer.from('e'), 'e'],
  ])('MSH-18 is %j', (charset, bytes, expected) => {
    const frame = named(charset, bytes)
    const message = parse(frame)
    expect(message.get('NTE-1')).toBe(expected)
    expect(Buffer.from(format.print(message) as Buffer)).toEqual(frame)
  })

  test('an encoding stands for all messages, whatever they say', () => {
    const windows = create('windows-1252')
    expect(parse(named('ASCII', Buffer.from([0x80])), windows).get('NTE-1')).toBe('€')
    expect(parse(Buffer.concat([Buffer.from('MSH|^~\\&\rNTE|'), Buffer.from([0xe9])]), windows).get('NTE-1')).toBe('é')
    expect(windows.encodeText!('é')).toEqual(Buffer.from([0xe9]))
    expect(hl7.options.safeParse({ encoding: 'klingon' }).error?.issues[0]?.message).toContain(
      'unknown encoding "klingon"',
    )
  })

  test('what is not known or not so is refused, with the place', () => {
    expect(() => parse(named('KLINGON', Buffer.from('')))).toThrow(
      'the charset "KLINGON" of MSH-18 is not known; name one with the option encoding, at byte 0',
    )
    expect(() => parse(named('ASCII', Buffer.from([0xe9])))).toThrow('not valid ascii at byte')
    expect(() => parse('MSH|^~\\&\rNTE|é\rfoo|1')).toThrow('segment 3 begins with no name of a segment at byte 16')
    expect(() => parse('GET / HTTP/1.1')).toThrow('an HL7 message begins with MSH, and here it does not at byte 0')
  })
})

describe('writing', () => {
  test.each([A01, R01, A01.replaceAll('\r', '\r\n'), `${R01}\n\n`])('a message is written as it came', (content) => {
    expect(format.print(parse(content))).toBe(content)
  })

  test('whatever its fields hold, it is read the same again, and it never changes', () => {
    const field = fc.string({ unit: fc.constantFrom('a', '^', '~', '\\', '&', 'é', ' ', '"', 'X', '0') })
    const name = fc.constantFrom('PID', 'OBX', 'ZZ1')
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.array(field))), fc.constantFrom('\r', '\n', '\r\n'), (segments, end) => {
        const content = ['MSH|^~\\&|', ...segments.map(([first, fields]) => [first, ...fields].join('|'))].join(end)
        const message = parse(content)
        expect(message.segments.slice(1).map(({ fields }) => fields)).toEqual(
          segments.map(([first, fields]) => [first, ...fields]),
        )
        expect(format.print(message)).toBe(content)
        const copy = structuredClone({ segments: message.segments.map(({ name, fields }) => ({ name, fields })) })
        expect(parse(format.print(copy as never) as string)).toEqual(message)
        expect(
          Object.isFrozen(message) &&
            Object.isFrozen(message.segments[0]) &&
            Object.isFrozen(message.segments[0]!.fields),
        ).toBe(true)
      }),
    )
  })

  test('an object with segments is written with its own separators', () => {
    const ack = {
      segments: [
        { name: 'MSH', fields: ['MSH', '$', '%*!@', 'A'] },
        { name: 'MSA', fields: ['MSA', 'AA', 7] },
      ],
    }
    expect(format.print(ack as never)).toBe('MSH$%*!@$A\rMSA$AA$7\r')
  })

  test.each([
    [null, 'is written from an object with segments'],
    ['MSH|', 'is written from an object with segments'],
    [{ segments: [] }, 'segment 1 has no list of fields'],
    [{ segments: [{ name: 'PID', fields: ['PID', '1'] }] }, 'begins with MSH'],
    [{ segments: [{ name: 'MSH', fields: ['MSH', '|', '^~\\&', 'a\rb'] }] }, 'segment 1 has no list of fields'],
    [
      {
        segments: [
          { name: 'MSH', fields: ['MSH', '|', '^~\\&'] },
          { name: 'A', fields: ['B'] },
        ],
      },
      'segment 2 has no list',
    ],
    [{ segments: [{ name: 'MSH', fields: ['MSH', '|', '^~\\&', ...Array(15).fill(''), 'XX'] }] }, 'the charset "XX"'],
    [
      { segments: [{ name: 'MSH', fields: ['MSH', '|', '^~\\&', ...Array(15).fill(''), '8859/1', '€'] }] },
      'cannot hold',
    ],
  ])('%j is refused', (value, message) => {
    expect(() => format.print(value as never)).toThrow(
      expect.objectContaining({ code: 'format_not_printable', message: expect.stringContaining(message) }),
    )
  })
})
