import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { withoutShortForm } from '../config/parts.ts'
import type { Config } from '../library/config.ts'
import { planOf } from '../library/create-server.ts'
import { createRegistry } from '../registry/builtins.ts'
import { ByteWriter } from '../util/byte-writer.ts'
import { analyse } from './analyse.ts'
import type { Recording } from './recording.ts'
import { tryFraming, type WrittenPart } from './trial.ts'
import { verdictInYaml } from './written.ts'

const registry = createRegistry()

/** Bytes as text: `\xHH` and the usual escapes of TypeScript, each character one byte. */
function bytes(...texts: readonly string[]): Buffer[] {
  return texts.map((text) => Buffer.from(text, 'latin1'))
}

function hex(...texts: readonly string[]): Buffer[] {
  return texts.map((text) => Buffer.from(text.replaceAll(/\s/g, ''), 'hex'))
}

/** Messages with pauses between them. */
function paused(messages: readonly Buffer[], pause = 250): Recording {
  return { reads: messages.map((message, i) => ({ bytes: message, time: 1000 + i * pause })), ended: false }
}

/** The same bytes without any pause, cut at these places, some of them inside of messages. */
function cut(messages: readonly Buffer[], step: number): Recording {
  const all = Buffer.concat(messages)
  const count = Math.ceil(all.length / step)
  const reads = Array.from({ length: count }, (_, i) => ({ bytes: all.subarray(i * step, (i + 1) * step), time: 1000 }))
  return { reads, ended: true }
}

const DNS = [
  // Queries as in RFC 1035, section 4.1, behind the length of section 4.2.2: example.com A, www.ietf.org AAAA, a.root-servers.net A.
  '001d 1a2b 0100 0001 0000 0000 0000 07 6578616d706c65 03 636f6d 00 0001 0001',
  '001e 1a2c 0100 0001 0000 0000 0000 03 777777 04 69657466 03 6f7267 00 001c 0001',
  '0024 1a2d 0100 0001 0000 0000 0000 01 61 0c 726f6f742d73657276657273 03 6e6574 00 0001 0001',
]

interface Stream {
  readonly name: string
  readonly messages: readonly Buffer[]
  readonly framing: WrittenPart
  readonly format: WrittenPart
}

/** Fourteen devices: what each of them sends, and what its configuration must say. */
const streams: readonly Stream[] = [
  {
    name: 'a barcode scanner that ends a code with CR',
    messages: bytes('4006381333931\r', '9783161484100\r', '036000291452\r'),
    framing: { delimiter: '\r' },
    format: 'text',
  },
  {
    name: 'a scale that sends lines',
    messages: bytes('ST,GS,+  12.50kg\r\n', 'US,GS,+  12.61kg\r\n', 'ST,GS,+  12.65kg\r\n'),
    framing: 'line',
    format: 'csv',
  },
  {
    name: 'a reader that sends STX and ETX',
    messages: bytes('\x02E2003412\x03', '\x02E20034FF01\x03', '\x02E2801160\x03'),
    framing: 'stx-etx',
    format: 'hex',
  },
  {
    name: 'an analyser that sends HL7',
    messages: bytes(
      '\x0bMSH|^~\\&|LAB|A|EHR|B|20260101||ORU^R01|4711|P|2.5\rPID|1||444^^^A\rOBX|1|NM|GLU||5.4|mmol/l\r\x1c\r',
      '\x0bMSH|^~\\&|LAB|A|EHR|B|20260102||ORU^R01|4712|P|2.5\rPID|1||445^^^A\r\x1c\r',
    ),
    framing: 'mllp',
    format: 'hl7',
  },
  {
    name: 'a sensor that sends a JSON object on a line',
    messages: bytes('{"id":"s1","temp":21.5}\n', '{"id":"s2","temp":-3}\n'),
    framing: 'line',
    format: 'json',
  },
  {
    name: 'a GPS receiver',
    messages: bytes(
      '$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n',
      '$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A\r\n',
      '$GPGLL,4916.45,N,12311.12,W,225444,A,*1D\r\n',
    ),
    framing: 'nmea',
    format: 'nmea',
  },
  {
    name: 'syslog with octet counting',
    messages: bytes(
      '22 <34>1 - host app - - -',
      '83 <165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It is time to do',
    ),
    framing: 'syslog',
    format: 'syslog',
  },
  {
    name: 'Modbus TCP',
    messages: hex(
      '0001 0000 0006 11 03 006b 0003',
      '0002 0000 0009 11 10 0001 0001 02 000a',
      '0003 0000 0006 11 01 0013 0025',
    ),
    framing: 'modbus-tcp',
    format: 'bytes',
  },
  {
    name: 'a length in two bytes, big endian',
    messages: hex(...DNS),
    framing: { 'length-prefix': { bytes: 2 } },
    format: 'bytes',
  },
  {
    name: 'a length in four bytes, little endian',
    messages: hex('07000000 a1626964014163', '03000000 a10203', '0c000000 a2626964021874636b671901'),
    framing: { 'length-prefix': { bytes: 4, endian: 'little' } },
    format: 'bytes',
  },
  {
    name: 'JSON without anything between',
    messages: bytes('{"tag":"A1","pos":[1,2]}', '{"tag":"B}7","pos":[]}', '{"tag":"C"}'),
    framing: 'json-stream',
    format: 'json',
  },
  {
    name: 'records that | ends',
    messages: bytes('S1:12.5|', 'S2:13.0|', 'S1:12.7|', 'S4:9.25|'),
    framing: { delimiter: '|' },
    format: 'text',
  },
  {
    name: 'records of twelve bytes',
    messages: hex(
      '01a4 3f80 0000 41c8 0000 9c11',
      '01a5 3f81 0200 41c9 8000 9d17',
      '01a6 3f7f ff00 41ca 1000 0b2c',
      '01a7 3f80 1000 41c7 0040 771e',
    ),
    framing: { fixed: { length: 12 } },
    format: 'bytes',
  },
  {
    name: 'SLIP',
    messages: hex('c0 0102dbdc03 c0', 'c0 450000dbdd1c c0', 'c0 01ff0405 c0'),
    framing: 'slip',
    format: 'bytes',
  },
]

describe('fourteen streams', () => {
  it.each(streams)('$name: with pauses between the messages', ({ messages, framing, format }) => {
    const found = analyse([paused(messages)], { registry })
    expect({ framing: found.framing, format: found.format }).toEqual({ framing, format })
    expect(found.frames).toHaveLength(messages.length)
    expect(found.confidence).not.toBe('unsure')
    expect(found.reasons.length).toBeGreaterThan(1)
    for (const kind of ['listen', 'connect'] as const) {
      const where = kind === 'listen' ? ['port: 9100'] : ['host: 10.0.0.7', 'port: 9100']
      const config = parse(verdictInYaml(found, kind, where).join('\n')) as Config
      expect(() => planOf(config, {})).not.toThrow()
      expect(tryFraming(config[kind]!['device']!.framing as WrittenPart, [paused(messages)], registry).frames).toEqual(
        found.frames,
      )
    }
  })

  it.each(streams)(
    '$name: cut anywhere, without a pause, it is right or unsure',
    ({ messages, framing, format, name }) => {
      for (const step of [1, 2, 3, 7, 1000]) {
        const found = analyse([cut(messages, step)], { registry })
        // Without pauses nothing says how long these records are.
        if (name === 'records of twelve bytes') expect(found.confidence).toBe('unsure')
        else expect({ framing: found.framing, format: found.format }).toEqual({ framing, format })
      }
    },
  )
})

describe('more devices', () => {
  it.each<[string, Buffer[], WrittenPart, WrittenPart]>([
    [
      'a tracker with a length behind two marks',
      hex(
        '7878 0d 01 0123456789012345 0001 8cdd 0d0a',
        '7878 0a 13 4404030001 0002 b1c2 0d0a',
        '7878 05 01 0001 d9dc 0d0a',
      ),
      { 'length-prefix': { bytes: 1, offset: 2, keepHeader: true, adjust: 2 } },
      'bytes',
    ],
    [
      'a tracker between * and #',
      bytes('*HQ,4210,V1,123519,A,4807.03#', '*HQ,4210,V1,123529,A,4807.04#', '*HQ,4210,NBR,1#'),
      { 'start-end': { start: '*', end: '#' } },
      'text',
    ],
    [
      'a scale with STX and CR',
      bytes('\x02 0 12500\r', '\x02 1 12510\r', '\x02 0 9\r'),
      { 'start-end': { start: '\\x02', end: '\\r' } },
      'text',
    ],
    [
      'a scale with a check byte behind ETX',
      bytes('\x0212.50kg\x03K', '\x0212.61kg\x03H', '\x029.7kg\x03\x7e'),
      { regex: '\\x03(?s:.)' },
      'bytes',
    ],
    [
      'a scale with STX, ETX and a line end',
      bytes('\x02ST,+ 12.0 kg\x03\r\n', '\x02ST,+ 12.1 kg\x03\r\n', '\x02US,+ 12.3 kg\x03\r\n'),
      'stx-etx',
      'text',
    ],
    [
      'an analyser with two check digits and a line end',
      bytes('\x021H|A\r\x03B2\r\n', '\x022P|1|Doe\r\x037F\r\n', '\x023L|1\r\x03A0\r\n'),
      { regex: '\\x03(?s:.)(?s:.)(?s:.)(?s:.)' },
      'bytes',
    ],
    ['words and values', bytes('id=S1;kg=12.5\n', 'id=S2;kg=13\n'), 'line', 'key-value'],
    ['words and values with &', bytes('id=S1&kg=12.5\n', 'id=S2&kg=13\n'), 'line', { 'key-value': { separator: '&' } }],
    ['a table with semicolons', bytes('S1;12,5;kg\r\n', 'S2;13,0;kg\r\n'), 'line', { csv: { delimiter: ';' } }],
    ['Latin-1', bytes('20 \xb0C\n', '21 \xb0C\n'), 'line', { text: 'latin1' }],
    ['UTF-8', [Buffer.from('20 °C\n'), Buffer.from('21 °C\n')], 'line', 'text'],
    ['netstrings', bytes('5:hello,', '6:world!,'), 'netstring', 'text'],
    ['COBS', hex('0211 00', '03 1122 02 33 00', '01 01 00'), 'cobs', 'bytes'],
    ['a binary end', hex('0102 ffffff', '03 ffffff', '0a0b0c0d ffffff'), { delimiter: '\\xff\\xff\\xff' }, 'bytes'],
    ['pauses alone', bytes('hello', 'hello world', 'bye now'), { gap: '20ms' }, 'text'],
    ['HL7 without its block', bytes('MSH|^~\\&|A|B\r'), { delimiter: '\r' }, 'hl7'],
  ])('%s', (_, messages, framing, format) => {
    const found = analyse([paused(messages)], { registry })
    expect({ framing: found.framing, format: found.format }).toEqual({ framing, format })
    expect(found.frames).toHaveLength(messages.length)
  })

  it('the same line again and again, whose length some letter in it has by chance', () => {
    const lines = bytes('{"a":1,"b":"xyz"}\n'.repeat(200))
    expect(analyse([cut(lines, 1000), cut([lines[0]!.subarray(0, 1234)], 99)], { registry })).toMatchObject({
      framing: 'line',
      format: 'json',
    })
  })

  it('a connection for each message', () => {
    const recordings = ['weight 12', 'weight 13.5'].map((text) => ({ ...paused(bytes(text)), ended: true }))
    expect(analyse(recordings, { registry })).toMatchObject({ framing: 'until-close', confidence: 'likely' })
  })

  it('an XML document, and the end', () => {
    const recording = { ...paused(bytes('<?xml version="1.0"?>\n<a>\n  <b/>\n</a>')), ended: true }
    expect(analyse([recording], { registry })).toMatchObject({ framing: 'until-close', format: 'xml' })
  })

  it('an empty message among few, behind lengths: a sign of life', () => {
    const found = analyse([paused(bytes('\x00\x05hello', '\x00\x03abc', '\x00\x00'))], { registry })
    expect(found).toMatchObject({ framing: { 'length-prefix': { bytes: 2 } } })
    expect(found.confidence).not.toBe('unsure')
  })

  it('a last message that has not ended, behind lengths', () => {
    const found = analyse([paused(hex(...DNS, ...DNS, '0010 00'))], { registry })
    expect(found).toMatchObject({ framing: { 'length-prefix': { bytes: 2 } } })
    expect(found.confidence).not.toBe('unsure')
  })

  it('a last message that has not ended', () => {
    const found = analyse([paused(bytes('one 1\n', 'two 2\n', 'three 3\n', 'fo'))], { registry })
    expect(found).toMatchObject({ framing: 'line', confidence: 'likely' })
    expect(found.reasons.join()).toContain('2 bytes of one that has not ended')
  })
})

describe('what it says nothing wrong about', () => {
  it.each<[string, Recording[]]>([
    ['nothing', []],
    ['a connection without bytes', [{ reads: [], ended: true }]],
    ['one text without an end', [paused(bytes('Hello from the client!'))]],
    ['random bytes', [cut(hex('9f3ac41b77e05d28c3914e6fa25b08d7'), 5)]],
    ['the same byte', [cut(hex('41414141414141'), 2)]],
    ['a byte of 1 that repeats', [cut([Buffer.alloc(500, 1)], 7)]],
    ['a ~ that repeats', [cut([Buffer.alloc(500, 0x7e)], 7)]],
    ['zeros', [paused([Buffer.alloc(64)])]],
    ['fields and no end', [cut(bytes('S1|12.5|kg'), 3)]],
  ])('%s', (_, recordings) => {
    const { confidence, framing, format, reasons } = analyse(recordings, { registry })
    expect({ confidence, framing, format }).toEqual({ confidence: 'unsure', framing: 'raw', format: 'bytes' })
    expect(reasons.length).toBeGreaterThan(0)
  })

  it.each([
    ['HTTP', bytes('GET / HTTP/1.1\r\nHost: a\r\n\r\n')],
    ['SSH', bytes('SSH-2.0-OpenSSH_9.6\r\n')],
    ['telnet', hex('fffb1f fffb20 fffb18')],
    ['PROXY', bytes('PROXY TCP4 10.0.0.1 10.0.0.2 5000 9100\r\nhello\n')],
    ['TLS', hex('16030100 20 01 00001c 0303 00112233445566778899aabbccddeeff00112233445566778899')],
  ])('warns of %s', (word, messages) => {
    const { confidence, warning } = analyse([cut(messages, 2)], { registry })
    expect(confidence).toBe('unsure')
    expect(warning).toContain(word)
  })
})

describe('any messages', () => {
  const texts = fc.array(fc.stringMatching(/^[a-zA-Z0-9 ,;:.=+-]{1,30}$/), { minLength: 1, maxLength: 8 })
  const data = fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 8 })

  it.each<[WrittenPart, fc.Arbitrary<(string | Uint8Array)[]>]>([
    ['line', texts],
    [{ delimiter: '\r' }, texts],
    ['stx-etx', texts],
    ['mllp', texts],
    ['netstring', data],
    [{ 'length-prefix': { bytes: 2 } }, texts],
    [{ 'length-prefix': { bytes: 4, endian: 'little' } }, texts],
  ])('in %j: it finds them, or is unsure', (written, messages) => {
    const [name, options] = typeof written === 'string' ? [written, undefined] : Object.entries(written)[0]!
    const definition = registry.get('framing', name)!
    const framing = definition.create(definition.options.parse(withoutShortForm(definition, options)) as never)
    const run = (payloads: readonly (string | Uint8Array)[], step: number) => {
      const parts = payloads.map((payload) => {
        const writer = new ByteWriter()
        framing.encode(Buffer.from(payload as string), writer)
        return writer.take()
      })
      for (const recording of [paused(parts), cut(parts, step)]) {
        const found = analyse([recording], { registry })
        if (found.confidence !== 'unsure')
          expect(found.frames).toEqual(payloads.map((one) => Buffer.from(one as string)))
      }
    }
    fc.assert(fc.property(messages, fc.integer({ min: 1, max: 50 }), run), { numRuns: 40, seed: 4 })
  })

  it('are never too strange to look at', () => {
    const reads = fc.array(
      fc.record({ bytes: fc.uint8Array({ maxLength: 40 }), time: fc.integer({ min: 0, max: 500 }) }),
    )
    const run = (list: readonly { bytes: Uint8Array; time: number }[], ended: boolean) => {
      const recording = { reads: list.map(({ bytes, time }) => ({ bytes: Buffer.from(bytes), time })), ended }
      const { frames, framing } = analyse([recording], { registry })
      if (framing === 'raw')
        expect(Buffer.concat([...frames])).toEqual(Buffer.concat(recording.reads.map((one) => one.bytes)))
    }
    fc.assert(fc.property(reads, fc.boolean(), run), { numRuns: 100 })
  })
})
