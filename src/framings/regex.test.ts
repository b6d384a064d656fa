import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeAll, encodeOne, singleBytes } from '../testing/framing-run.ts'
import { Framer } from '../wire/framer.ts'
import { regex } from './regex.ts'

const create = (end: string, writes?: string) => regex.create(regex.options.parse({ end, ...(writes && { writes }) }))
const decode = (end: string, ...texts: string[]) =>
  decodeAll(
    create(end),
    texts.map((text) => Buffer.from(text, 'latin1')),
  )

test('a frame is there with the first byte at which the pattern has matched', () => {
  const framer = new Framer(create('\\r\\n?|;').createDecoder(100), 100)
  expect(framer.push(Buffer.from('one\r')).count).toBe(1)
  expect(framer.unread).toBe(0)
  expect(decode('\\n+', 'a\n\nb\n')).toEqual(['=a', '=', '=b'])
})

test('of several matches the one that ends first counts, and of those the longest', () => {
  expect(decode('abc|b', 'xabcb')).toEqual(['=xa', '=c'])
  expect(decode('a?b', 'xabyb')).toEqual(['=x', '=y'])
  expect(decode('a.*z|b', 'xaybz', 'b')).toEqual(['=xay', '=z'])
})

test('each byte is one character', () => {
  expect(decode('\\xff', 'ä\xffb\xff')).toEqual(['=ä', '=b'])
  expect(decode('(?s:\\x03.)', 'a\x03\x80b\x03\n')).toEqual(['=a', '=b'])
})

test('a match of 64 bytes is found wherever it lies', () => {
  for (let before = 0; before < 300; before++) {
    expect(decode('<[^>]*>', `${'x'.repeat(before)}<${'y'.repeat(62)}>`)).toEqual([`=${'x'.repeat(before)}`])
  }
})

test.each([
  ['a*', 'matches nothing at all'],
  ['a|', 'matches nothing at all'],
  ['(a', 'missing closing'],
  ['a(?=b)', 'RE2 has no look-around'],
  ['^a', '^ has no meaning'],
  ['a$|b', '$ has no meaning'],
  ['a\\b', '\\b has no meaning'],
])('the pattern %s is refused', (end, message) => {
  const { error } = regex.options.safeParse({ end })
  expect(error?.issues.map((issue) => issue.message).join()).toContain(message)
})

test('signs that only look like assertions are taken', () => {
  for (const end of ['\\$', '\\^', '[$^]', '[^a]', '[]$]', '[[:alpha:]$]', '\\Q$\\E', '\\\\b']) {
    expect(regex.options.safeParse({ end }).error, end).toBeUndefined()
  }
})

test('nothing is written unless it is said what, and that must be an end', () => {
  expect(encodeOne(create(';'), 'a')).toBeUndefined()
  expect(encodeOne(create('\\r|\\n', '\r'), 'a')).toEqual(Buffer.from('a\r'))
  expect(encodeOne(create('\\r|\\n', '\r'), 'a\nb')).toBeUndefined()
  expect(encodeOne(create('ab', 'ab'), 'xa')).toEqual(Buffer.from('xaab'))
  for (const writes of ['x', '\\n\\n', 'x\\n']) {
    expect(regex.options.safeParse({ end: '\\n', writes }).success, writes).toBe(false)
  }
})

test('1 MiB without a match costs linear work, in small reads too', () => {
  const noise = Buffer.alloc(1 << 20, 'ab')
  const framer = new Framer(create('a+c').createDecoder(2 << 20), 2 << 20)
  for (let at = 0; at < noise.length; at += 16) expect(framer.push(noise.subarray(at, at + 16)).count).toBe(0)
  const frames = framer.push(Buffer.from('ac'))
  expect(frames.ends[0]).toBe(noise.length)
}, 60_000)

test('any pattern gives the same frames for any split', () => {
  const piece = fc.constantFrom('a', 'b', 'ab', 'a+', '(?:a|bb)', '[^c]', 'c{2}', 'a*c', 'b.*c')
  const patterns = fc.array(piece, { minLength: 1, maxLength: 3 }).map((pieces) => pieces.join(''))
  const texts = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 90 }), { maxLength: 5 })
  fc.assert(
    fc.property(patterns, texts, (end, parts) => {
      const framing = create(end)
      const stream = Buffer.from(parts.join(''))
      const whole = decodeAll(framing, [stream])
      expect(decodeAll(framing, singleBytes(stream))).toEqual(whole)
      expect(
        decodeAll(
          framing,
          parts.map((part) => Buffer.from(part)),
        ),
      ).toEqual(whole)
    }),
    { numRuns: 300 },
  )
})

test('with keep a frame has its end, however it arrives, and only whole frames are written', () => {
  const framing = regex.create(regex.options.parse({ end: '[\\x03\\x17]..\\r\\n|[\\x04\\x05]', keep: true }))
  const stream = Buffer.from('\x05\x021A\r\x0382\r\n\x022B\x17C1\r\n\x04', 'latin1')
  const frames = ['=\x05', '=\x021A\r\x0382\r\n', '=\x022B\x17C1\r\n', '=\x04']
  for (let at = 0; at <= stream.length; at++) {
    expect(decodeAll(framing, [stream.subarray(0, at), stream.subarray(at)])).toEqual(frames)
  }
  expect(encodeOne(framing, '\x021A\r\x0382\r\n')).toEqual(Buffer.from('\x021A\r\x0382\r\n'))
  for (const no of ['', '\x021A', '\x05\x04', '\x04x']) expect(encodeOne(framing, no)).toBeUndefined()
  expect(regex.options.safeParse({ end: ';', keep: true, writes: ';' }).error?.issues[0]?.message).toContain(
    'leave out',
  )
})
