import { isUtf8 } from 'node:buffer'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Frames } from '../contracts/framing.ts'
import { createFrames } from '../testing/part-context.ts'
import { text } from './text.ts'

const create = (encoding?: string) => text.create(text.options.parse(encoding === undefined ? {} : { encoding }))
const utf8 = create()
const notPrintable = expect.objectContaining({ code: 'format_not_printable' })
const print = (value: unknown, format = utf8) => format.print(value as string)

describe('UTF-8', () => {
  test('takes exactly the bytes that are UTF-8', () => {
    const near = fc.oneof(
      fc.uint8Array(),
      fc.string({ unit: 'binary' }).map((some) => Buffer.from(some)),
    )
    fc.assert(
      fc.property(fc.array(near, { maxLength: 4 }), (parts) => {
        const bytes = Buffer.concat(parts)
        const read = () => utf8.parse(bytes, 0, bytes.length)
        if (isUtf8(bytes)) expect(Buffer.from(read())).toEqual(bytes)
        else expect(read).toThrow('not valid UTF-8 at byte')
      }),
      { numRuns: 2000 },
    )
  })

  test('names the first byte that is wrong, behind a U+FFFD that was sent as such too', () => {
    const bytes = Buffer.concat([Buffer.from('xxé\ufffd'), Buffer.from([0xe2, 0x82]), Buffer.from('end')])
    expect(() => utf8.parse(bytes, 2, bytes.length)).toThrow('not valid UTF-8 at byte 5')
    expect(utf8.parse(bytes, 2, 7)).toBe('é\ufffd')
  })

  test('a character that the frame cuts is refused, whichever half', () => {
    const bytes = Buffer.from('aéb')
    expect(() => utf8.parse(bytes, 0, 2)).toThrow('at byte 1')
    expect(() => utf8.parse(bytes, 2, 4)).toThrow('at byte 0')
  })

  test('writes everything but null', () => {
    expect(print('é')).toBe('é')
    expect(print(2.5)).toBe('2.5')
    expect(print(true)).toBe('true')
    expect(print({ a: 1 })).toBe('{"a":1}')
    expect(print(new Date(0))).toBe('1970-01-01T00:00:00.000Z')
    expect(print(Buffer.from('é'))).toEqual(Buffer.from('é'))
    for (const value of [null, undefined, '\ud800', Buffer.from([0xff])])
      expect(() => print(value)).toThrow(notPrintable)
  })
})

describe('acceptsAll', () => {
  const word = fc.string({ unit: fc.constantFrom('a', '\n', 'é', '€', '😀', '\ufffd'), maxLength: 6 })
  const byte = fc.oneof(
    { weight: 9, arbitrary: word.map((some) => Buffer.from(some)) },
    fc.uint8Array({ maxLength: 2 }),
  )
  /** Bytes that are mostly UTF-8, cut into frames anywhere, with gaps of 0 to 2 bytes. */
  const read = fc.tuple(fc.array(byte), fc.array(fc.tuple(fc.nat(2), fc.nat(8)))).map(([parts, cuts]) => {
    const frames = new Frames(Buffer.concat(parts))
    let at = 0
    for (const [gap, length] of cuts) {
      const start = Math.min(at + gap, frames.bytes.length)
      at = Math.min(start + length, frames.bytes.length)
      frames.push(start, at)
    }
    return frames
  })

  test('true means that every frame parses, and gives its bytes again', () => {
    let accepted = 0
    fc.assert(
      fc.property(read, (frames) => {
        if (!utf8.acceptsAll!(frames)) return
        accepted++
        for (let i = 0; i < frames.count; i++) {
          const value = utf8.parse(frames.bytes, frames.starts[i]!, frames.ends[i]!)
          expect(Buffer.from(value)).toEqual(frames.at(i))
        }
      }),
      { numRuns: 20_000 },
    )
    expect(accepted).toBeGreaterThan(1000)
  })

  test('takes lines of UTF-8, and none that is cut inside a character', () => {
    expect(utf8.acceptsAll!(createFrames(['20 °C', '', '😀']))).toBe(true)
    expect(utf8.acceptsAll!(createFrames([]))).toBe(true)
    expect(utf8.acceptsAll!(createFrames(['a', Buffer.from([0xff])]))).toBe(false)
    const cut = new Frames(Buffer.from('aéb'))
    cut.push(0, 2)
    cut.push(2, 4)
    expect(utf8.acceptsAll!(cut)).toBe(false)
  })
})

describe('encodings', () => {
  test('latin1 takes every byte and refuses other characters', () => {
    const latin1 = create('ISO-8859-1')
    const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
    expect(print(latin1.parse(all, 0, 256), latin1)).toEqual(all)
    expect(latin1.acceptsAll!(createFrames([all]))).toBe(true)
    expect(latin1.encodeText!('é')).toEqual(Buffer.from([0xe9]))
    expect(() => print('5 €', latin1)).toThrow(notPrintable)
    expect(() => latin1.encodeText!('5 €')).toThrow(notPrintable)
  })

  test.each([
    ['windows-1252', '5 € – é'],
    ['shift_jis', '日本語 ABC'],
    ['gbk', '重量 5'],
    ['koi8-r', 'Привет'],
    ['cp437', '█ é'],
    ['utf-16le', 'a€😀'],
  ])('%s', (encoding, value) => {
    const format = create(encoding)
    const bytes = print(value, format) as Buffer
    expect(bytes).toEqual(format.encodeText!(value))
    expect(bytes).not.toEqual(Buffer.from(value))
    const inside = Buffer.concat([Buffer.from('xx'), bytes, Buffer.from('yy')])
    expect(format.parse(inside, 2, inside.length - 2)).toBe(value)
    expect(print(bytes, format)).toEqual(bytes)
  })

  test('what an encoding lacks is refused both ways, never replaced', () => {
    const windows = create('windows-1252')
    expect(() => windows.parse(Buffer.from([0x61, 0x62, 0x81]), 0, 3)).toThrow('not valid windows-1252 at byte 2')
    expect(() => print('日', windows)).toThrow(notPrintable)
    expect(print('is it?', windows)).toEqual(Buffer.from('is it?'))
    expect(() => print(Buffer.from([0x81]), windows)).toThrow(notPrintable)
    expect(() => create('shift_jis').parse(Buffer.from([0x93]), 0, 1)).toThrow('not valid shift_jis at byte 0')
  })

  test('an unknown one is a mistake in the configuration, with a suggestion', () => {
    const messages = (encoding: string) =>
      text.options.safeParse({ encoding }).error?.issues.map(({ message }) => message)
    expect(messages('utf-9')).toEqual([expect.stringContaining('unknown encoding "utf-9"; did you mean utf')])
    expect(messages('shift-jiss')).toEqual(['unknown encoding "shift-jiss"; did you mean shiftjis?'])
    expect(messages('klingon-on-paper')).toEqual(['unknown encoding "klingon-on-paper"'])
    expect(messages('base64')).toEqual([expect.stringContaining('unknown encoding')])
    expect(messages('UTF_8')).toBeUndefined()
    expect(messages('Windows-1252')).toBeUndefined()
  })
})
