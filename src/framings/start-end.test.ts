import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeAll, encodeOne, entries, singleBytes } from '../testing/framing-run.ts'
import { Framer } from '../wire/framer.ts'
import { startEnd } from './start-end.ts'

const create = (start: string, end: string, escaping?: string) =>
  startEnd.create(startEnd.options.parse({ start, end, ...(escaping && { escape: escaping }) }))
const reads = (...texts: string[]) => texts.map((text) => Buffer.from(text, 'latin1'))

test('bytes before the start marker are given up and reading goes on', () => {
  expect(decodeAll(create('<', '>'), reads('ab<1>\r\n<2>cd'))).toEqual(['!ab', '=1', '!\r\n', '=2', '!cd'])
})

test('a run of garbage is one entry of a read, at once, and leaves nothing unread', () => {
  const framer = new Framer(create('<<', '>>').createDecoder(100), 100)
  const given = entries(framer.push(Buffer.from('hello\r\n')))
  expect(given.map(({ error }) => error?.code)).toEqual(['frame_invalid'])
  expect(framer.unread).toBe(0)
  expect(framer.broken).toBeUndefined()
})

test('garbage above the limit is given up in pieces', () => {
  const framer = new Framer(create('<', '>').createDecoder(4), 4)
  const given = entries(framer.push(Buffer.from('0123456789<ab>')))
  expect(given.map(({ bytes }) => bytes.toString())).toEqual(['0123', '4567', '89', 'ab'])
})

test('a start marker across the end of such a piece is found', () => {
  expect(decodeAll(create('<<', '>>'), reads('abc<<x>>'), { maxLength: 4 })).toEqual(['!abc', '=x'])
})

test('what may be the beginning of a start marker is kept', () => {
  expect(decodeAll(create('<<', '>'), reads('x<', '<a>', '<'))).toEqual(['!x', '=a', 'frame_truncated'])
})

test('an end in mid-frame is a truncated frame', () => {
  expect(decodeAll(create('<', '>'), reads('<ab'))).toEqual(['frame_truncated'])
})

test('without an escape a payload with the end marker is refused, one with the start marker is not', () => {
  expect(encodeOne(create('<', '>'), 'a>b')).toBeUndefined()
  expect(encodeOne(create('<', '))'), 'a)'), 'the end marker would be found one byte early').toBeUndefined()
  expect(encodeOne(create('<', '>'), 'a<b')).toEqual(Buffer.from('<a<b>'))
})

test('an escaped byte is taken as it is', () => {
  const framing = create('<', '>', '/')
  expect(decodeAll(framing, reads('</<a/>/b//>'))).toEqual(['=<a>b/'])
  expect(encodeOne(framing, '<a>b/')).toEqual(Buffer.from('</<a/>b//>'))
})

test('the limit counts the payload without its escapes', () => {
  const framing = create('<', '>', '/')
  for (const split of [reads, (text: string) => singleBytes(Buffer.from(text))]) {
    expect(decodeAll(framing, split('</>/>/>/>>'), { maxLength: 4 })).toEqual(['=>>>>'])
    expect(decodeAll(framing, split('</>/>/>/>/>>'), { maxLength: 4 })).toEqual(['frame_too_long'])
  }
})

test('an escape that could be taken for the end marker is refused', () => {
  expect(startEnd.options.safeParse({ start: '<', end: '>', escape: '>' }).success).toBe(false)
  expect(startEnd.options.safeParse({ start: '\\x10\\x02', end: '\\x10\\x10', escape: '\\x10' }).success).toBe(false)
  expect(startEnd.options.safeParse({ start: '\\x10\\x02', end: '\\x10\\x03', escape: '\\x10' }).success).toBe(true)
})

test('any markers give back what is written, and the same for any split', () => {
  const letters = (max: number) =>
    fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd'), minLength: 1, maxLength: max })
  const markers = fc.record({ start: letters(3), end: letters(3) }, { requiredKeys: ['start', 'end'] })
  const escapes = fc.option(fc.constantFrom('a', 'b', 'c', 'd'), { nil: undefined })
  const payloads = fc.array(letters(6), { maxLength: 4 })
  fc.assert(
    fc.property(markers, escapes, payloads, payloads, ({ start, end }, escaping, texts, noise) => {
      const given = { start, end, ...(escaping && { escape: escaping }) }
      if (!startEnd.options.safeParse(given).success) return
      const framing = create(start, end, escaping)
      const written = texts.flatMap((text) => encodeOne(framing, text) ?? [])
      const back = texts.filter((text) => encodeOne(framing, text) !== undefined).map((text) => `=${text}`)
      const stream = Buffer.concat(written)
      expect(decodeAll(framing, [stream])).toEqual(back)
      expect(decodeAll(framing, singleBytes(stream))).toEqual(back)
      const noisy = Buffer.concat([...reads(...noise), stream, ...reads(...noise)])
      const cut = Math.floor(noisy.length / 2)
      const whole = decodeAll(framing, [noisy])
      expect(decodeAll(framing, [noisy.subarray(0, cut), noisy.subarray(cut)])).toEqual(whole)
      expect(decodeAll(framing, singleBytes(noisy))).toEqual(whole)
    }),
    { numRuns: 5000 },
  )
})

test('bytes of between are passed over until other bytes stand there', () => {
  const framing = startEnd.create(startEnd.options.parse({ start: '<', end: '>', between: '\\r\\n' }))
  expect(decodeAll(framing, reads('\n\r<1>\r\n\n<2>x\n<3>'))).toEqual(['=1', '=2', '!x\n', '=3'])
  expect(startEnd.options.safeParse({ start: '<', end: '>', between: ' <' }).success).toBe(false)
})
