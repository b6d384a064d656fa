import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Frames } from '../contracts/framing.ts'
import { decodeAll, encodeOne, NO_LIMIT, write } from '../testing/framing-run.ts'
import { ByteWriter } from '../util/byte-writer.ts'
import { Framer } from '../wire/framer.ts'
import { line } from './line.ts'

const lf = line.create({ ending: 'lf' })
const crlf = line.create({ ending: 'crlf' })

test('LF ends a line and one CR before it is dropped', () => {
  expect(decodeAll(lf, [Buffer.from('a\nb\r\n\r\nc\r\r\nd\re\n')])).toEqual(['=a', '=b', '=', '=c\r', '=d\re'])
})

test('a line without its LF was cut off', () => {
  expect(decodeAll(lf, [Buffer.from('a\nb')])).toEqual(['=a', 'frame_truncated'])
})

test('the limit counts the line without its end', () => {
  expect(decodeAll(lf, [Buffer.from('abcd\r\n')], { maxLength: 4 })).toEqual(['=abcd'])
  expect(decodeAll(lf, [Buffer.from('abcde\n')], { maxLength: 4 })).toEqual(['frame_too_long'])
})

test('a payload with LF is refused, one that ends with CR keeps it', () => {
  expect(encodeOne(lf, 'a\nb')).toBeUndefined()
  expect(encodeOne(lf, Buffer.from('a\n'))).toBeUndefined()
  expect(encodeOne(lf, 'OK')).toEqual(Buffer.from('OK\n'))
  expect(encodeOne(crlf, 'OK')).toEqual(Buffer.from('OK\r\n'))
  expect(encodeOne(lf, 'OK\r')).toEqual(Buffer.from('OK\r\r\n'))
})

test('a read of whole lines is passed on as the very same bytes', () => {
  const out = new ByteWriter()
  const frames = new Framer(lf.createDecoder(NO_LIMIT), NO_LIMIT).push(Buffer.from('one\n\ntwo\nrest'))
  lf.encodeFrames?.(frames, out)
  const written = out.take()
  expect(written.toString()).toBe('one\n\ntwo\n')
  expect(written.buffer).toBe(frames.bytes.buffer)
})

test('encodeFrames equals encode for frames of any origin', () => {
  const text = fc.string({ unit: fc.constantFrom('a', '\r', '\n') })
  const cuts = fc.array(fc.tuple(fc.nat(3), fc.nat(4)), { maxLength: 8 })
  fc.assert(
    fc.property(text, cuts, fc.constantFrom(lf, crlf), fc.boolean(), (given, pairs, framing, decoded) => {
      const bytes = Buffer.from(given)
      let frames = new Frames(bytes)
      if (decoded) frames = new Framer(lf.createDecoder(NO_LIMIT), NO_LIMIT).push(bytes)
      let at = 0
      for (const [gap, length] of decoded ? [] : pairs) {
        const start = Math.min(bytes.length, at + gap)
        at = Math.min(bytes.length, start + length)
        frames.push(start, at)
      }
      const single = write((out) => {
        for (let i = 0; i < frames.count; i++) framing.encode(frames.at(i), out)
      })
      expect(write((out) => framing.encodeFrames?.(frames, out))).toEqual(single)
    }),
    { numRuns: 3000 },
  )
})
