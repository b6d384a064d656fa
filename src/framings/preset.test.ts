import { describe, expect, test } from 'vitest'
import type { FramingDefinition } from '../contracts/define.ts'
import { decodeAll, encodeOne } from '../testing/framing-run.ts'
import { hl7 } from './hl7.ts'
import { lengthPrefix } from './length-prefix.ts'
import { line } from './line.ts'
import { mllp } from './mllp.ts'
import { modbusTcp } from './modbus-tcp.ts'
import { nmea } from './nmea.ts'
import { octetCounting } from './octet-counting.ts'
import { startEnd } from './start-end.ts'
import { stxEtx } from './stx-etx.ts'
import { syslog } from './syslog.ts'

const presets: readonly (readonly [FramingDefinition, FramingDefinition, string, object])[] = [
  [
    stxEtx,
    startEnd,
    'start-end: { start: "\\x02", end: "\\x03", between: "\\r\\n" }',
    { start: '\\x02', end: '\\x03', between: '\\r\\n' },
  ],
  [
    mllp,
    startEnd,
    'start-end: { start: "\\x0b", end: "\\x1c\\r", between: "\\r\\n" }',
    { start: '\\x0b', end: '\\x1c\\r', between: '\\r\\n' },
  ],
  [
    hl7,
    startEnd,
    'start-end: { start: "\\x0b", end: "\\x1c\\r", between: "\\r\\n" }',
    { start: '\\x0b', end: '\\x1c\\r', between: '\\r\\n' },
  ],
  [
    modbusTcp,
    lengthPrefix,
    'length-prefix: { bytes: 2, offset: 4, keepHeader: true, maxLength: 260 }',
    { bytes: 2, offset: 4, keepHeader: true, maxLength: 260 },
  ],
  [nmea, line, 'line: { ending: "crlf" }', { ending: 'crlf' }],
  [syslog, octetCounting, 'octet-counting: { detect: true }', { detect: true }],
]

describe.each(presets)('$name', (preset, base, words, options) => {
  test('says what it stands for, on its page and in sluice check', () => {
    expect(preset.details).toContain(`It stands for \`${words}\`.`)
    expect(preset.inWords?.({})).toBe(`which is ${words}`)
  })

  test('reads and writes as that', () => {
    const plain = base.create(base.options.parse(options))
    const framing = preset.create({})
    for (const { bytes } of preset.examples) {
      const stream = Buffer.from(
        bytes.replaceAll(/\\x(..)/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 16))),
        'latin1',
      )
      expect(decodeAll(framing, [stream])).toEqual(decodeAll(plain, [stream]))
      expect(encodeOne(framing, stream)).toEqual(encodeOne(plain, stream))
    }
  })
})

test('limits of the user replace those of the preset', () => {
  const header = (length: number) =>
    Buffer.concat([Buffer.from([0, 1, 0, 0, length >> 8, length & 255]), Buffer.alloc(length)])
  expect(decodeAll(modbusTcp.create({}), [header(255)])).toEqual(['frame_too_long'])
  expect(decodeAll(modbusTcp.create({ maxLength: 1000 }), [header(255)])).toHaveLength(1)
  expect(decodeAll(modbusTcp.create({ whenTooLong: 'skip' }), [header(300), header(2)])).toHaveLength(2)
  expect(mllp.options.safeParse({ start: '<' }).success).toBe(false)
})
