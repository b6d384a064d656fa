import { expect, test } from 'vitest'
import { decodeAll, encodeOne } from '../testing/framing-run.ts'
import { Framer } from '../wire/framer.ts'
import { octetCounting } from './octet-counting.ts'

const detecting = octetCounting.create({ detect: true })
const counting = octetCounting.create({ detect: false })
const decode = (text: string, framing = detecting) => decodeAll(framing, [Buffer.from(text)])

test('a message that begins with its length may hold anything', () => {
  expect(decode('5 a\nb\0c3 <1>')).toEqual(['=a\nb\0c', '=<1>'])
})

test('what begins with no length is a line, also where it begins with a digit', () => {
  expect(decode('<34>Oct 11 one\n<34>two\r\n')).toEqual(['=<34>Oct 11 one', '=<34>two'])
  expect(decode('2026-11-28 a\n0 b\n12345678901 c\n')).toEqual(['=2026-11-28 a', '=0 b', '=12345678901 c'])
})

test('line ends between frames and empty lines are no frames and not unread', () => {
  expect(decode('2 hi\n\r\n\n2 ho\n')).toEqual(['=hi', '=ho'])
  const framer = new Framer(detecting.createDecoder(100), 100)
  framer.push(Buffer.from(`2 hi${'\n'.repeat(500)}`))
  expect(framer.unread).toBe(0)
})

test('what was begun in one way ends in it', () => {
  expect(decodeAll(detecting, [Buffer.from('<1>a'), Buffer.from('5 hello\n5 hel'), Buffer.from('lo')])).toEqual([
    '=<1>a5 hello',
    '=hello',
  ])
})

test('without detect anything but a length breaks the stream', () => {
  for (const text of ['<34>one\n', '0 ', '05 hello', ' 5 hello'])
    expect(decode(text, counting)).toEqual(['frame_invalid'])
})

test('a message is written with its length, and none is empty (RFC 6587, section 3.4.1)', () => {
  expect(encodeOne(detecting, 'hi')).toEqual(Buffer.from('2 hi'))
  expect(encodeOne(detecting, '')).toBeUndefined()
})

test('a line that is too long is passed over as one that is counted is', () => {
  const framing = octetCounting.create({ detect: true, maxLength: 4, whenTooLong: 'skip' })
  const long = `<${'x'.repeat(99)}\n3 abc99 ${'y'.repeat(99)}<ok\n`
  for (const size of [1, 7, 1000]) {
    const reads = Array.from({ length: Math.ceil(long.length / size) }, (_, i) =>
      Buffer.from(long.slice(i * size, (i + 1) * size)),
    )
    expect(decodeAll(framing, reads)).toEqual(['!<xxx', '=abc', '!yyyy', '=<ok'])
  }
})
