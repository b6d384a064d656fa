import { expect, test } from 'vitest'
import type { FramingDefinition } from '../contracts/define.ts'
import type { Framing } from '../contracts/framing.ts'
import { entries } from '../testing/framing-run.ts'
import { Framer } from '../wire/framer.ts'
import { gap } from './gap.ts'
import { lengthPrefix } from './length-prefix.ts'
import { line } from './line.ts'
import { raw } from './raw.ts'
import { regex } from './regex.ts'
import { slip } from './slip.ts'
import { startEnd } from './start-end.ts'
import { stxEtx } from './stx-etx.ts'
import { untilClose } from './until-close.ts'

const make = (definition: FramingDefinition, options: object): Framing =>
  definition.create(definition.options.parse(options))
const framerOf = (framing: Framing, limit = 1000) => new Framer(framing.createDecoder(limit), limit)
const read = (framer: Framer, text: string) =>
  entries(framer.push(Buffer.from(text, 'latin1'))).map(
    ({ bytes, error }) => `${error?.code ?? 'frame'} ${bytes.toString('latin1')}`,
  )

test('skip drops a frame and tells of it at once, with its first bytes', () => {
  const framer = framerOf(make(line, { maxLength: 4, whenTooLong: 'skip' }))
  expect(read(framer, 'abcdefg')).toEqual(['frame_skipped abcd'])
  expect(framer.unread).toBe(0)
  expect(read(framer, 'hi')).toEqual([])
  expect(read(framer, 'jk\nok\n')).toEqual(['frame ok'])
})

test('truncate takes the first bytes for the frame', () => {
  const framer = framerOf(make(line, { maxLength: 4, whenTooLong: 'truncate' }))
  expect(read(framer, 'abcdef\nok\n')).toEqual(['frame_cut abcd', 'frame ok'])
})

test('deadLetter keeps the first bytes as a failure and goes on', () => {
  const framer = framerOf(make(line, { maxLength: 4, whenTooLong: 'deadLetter' }))
  expect(read(framer, 'abcdef\nok\n')).toEqual(['frame_too_long abcd', 'frame ok'])
  expect(framer.broken).toBeUndefined()
})

test('close is the default: nothing behind a frame that is too long is read', () => {
  const framer = framerOf(make(line, { maxLength: 4 }))
  expect(read(framer, 'abcdef\nok\n')).toEqual(['frame_too_long abcd'])
  expect(framer.broken?.code).toBe('frame_too_long')
})

test('the limit of the endpoint holds too', () => {
  expect(read(framerOf(make(line, { maxLength: 9, whenTooLong: 'skip' }), 2), 'abc\nok\n')).toEqual([
    'frame_skipped ab',
    'frame ok',
  ])
})

test('a declared length is counted down, however long it is, and never kept', () => {
  const framer = framerOf(make(lengthPrefix, { bytes: 4, maxLength: 8, whenTooLong: 'skip' }))
  const length = 1_000_000
  const head = Buffer.alloc(4)
  head.writeUInt32BE(length)
  expect(read(framer, head.toString('latin1'))).toEqual([])
  const told: string[] = []
  for (let at = 0; at < length; at += 1000) {
    told.push(...read(framer, 'x'.repeat(1000)))
    expect(framer.unread).toBeLessThanOrEqual(12)
  }
  expect(told).toEqual(['frame_skipped xxxxxxxx'])
  expect(read(framer, '\0\0\0\x02ok')).toEqual(['frame ok'])
})

test('with close a declared length above the limit is refused before anything of the frame is there', () => {
  const framer = framerOf(make(lengthPrefix, { bytes: 4, maxLength: 8 }))
  read(framer, '\x00\x00\x10\x00')
  expect(framer.broken?.message).toBe('a frame declares 4096 bytes; the limit is 8')
})

test('escapes do not count, and are gone from what is left of a frame', () => {
  const framing = make(startEnd, { start: '<', end: '>', escape: '/', maxLength: 3, whenTooLong: 'truncate' })
  expect(read(framerOf(framing), '</>/>/>></>/>/>/>><ok>')).toEqual(['frame >>>', 'frame_cut >>>', 'frame ok'])
  const stuffed = make(slip, { maxLength: 2, whenTooLong: 'truncate' })
  expect(read(framerOf(stuffed), 'a\xdb\xdcb\xc0ok\xc0')).toEqual(['frame_cut a\xc0', 'frame ok'])
})

test('an end of the input in the rest of a frame that was skipped is no failure of its own', () => {
  for (const [definition, options] of [
    [line, {}],
    [regex, { end: '\\n' }],
    [lengthPrefix, { bytes: 1 }],
  ] as const) {
    const framer = framerOf(make(definition, { ...options, maxLength: 4, whenTooLong: 'skip' }))
    expect(read(framer, `\xff${'x'.repeat(139)}`)).toHaveLength(1)
    expect(entries(framer.end())).toEqual([])
  }
  const unbegun = framerOf(make(line, { maxLength: 4, whenTooLong: 'skip' }))
  read(unbegun, 'ab')
  expect(entries(unbegun.end())[0]?.error?.code).toBe('frame_truncated')
})

test('raw has no frames that are too long, so it has no whenTooLong', () => {
  expect(raw.options.safeParse({ whenTooLong: 'skip' }).success).toBe(false)
  expect(line.options.safeParse({ whenTooLong: 'drop' }).success).toBe(false)
})

test('sluice check names the limits that are given', () => {
  const words = (definition: FramingDefinition, options: object) =>
    definition.inWords?.(definition.options.parse(options))
  const limits = { maxLength: '1KiB', whenTooLong: 'skip' }
  expect(words(stxEtx, limits)).toMatch(/^which is start-end: .*, maxLength 1024, whenTooLong skip$/)
  expect(words(gap, { silence: '50ms', maxLength: 9 })).toBe('of 50 ms, maxLength 9')
  expect(words(untilClose, {})).toBe('in pieces above maxLength')
  expect(words(untilClose, { streamAbove: '64KiB' })).toBe('in pieces above 65536 bytes')
  expect(words(untilClose, { streamAbove: 'off', ...limits })).toBe('in one piece, maxLength 1024, whenTooLong skip')
  expect(words(lengthPrefix, { varint: true })).toBe('varint')
})
