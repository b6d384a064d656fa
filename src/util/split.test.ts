import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  createFastSplitter,
  createPlainSplitter,
  createSplitter,
  MAX_SPLIT_COUNT,
  MAX_SPLIT_LENGTH,
  type Splitter,
} from './split.ts'

const LF = 10
const CR = 13

/** The frames found, where the next one would start, and how many have lost their CR. */
function split(splitter: Splitter, bytes: Buffer, from = 0, known = 0, most = MAX_SPLIT_COUNT) {
  const count = splitter.split(bytes, from, known, LF, CR, most)
  const frames = Array.from({ length: count }, (_, i) => bytes.toString('latin1', splitter.starts[i], splitter.ends[i]))
  return { frames, next: splitter.starts[count], drops: splitter.ends[count] }
}

describe.each([
  ['with WebAssembly', createFastSplitter],
  ['with indexOf', createPlainSplitter],
])('%s', (_, create) => {
  test('frames are what stands before separators, without the byte to drop', () => {
    expect(split(create(), Buffer.from('a\nbc\r\n\n\r\nd\r'))).toEqual({
      frames: ['a', 'bc', '', ''],
      next: 9,
      drops: 2,
    })
    expect(split(create(), Buffer.from('\n\r\n'))).toEqual({ frames: ['', ''], next: 3, drops: 1 })
    expect(split(create(), Buffer.alloc(0))).toEqual({ frames: [], next: 0, drops: 0 })
  })

  test('a byte of the frame before is not dropped from an empty one', () => {
    expect(split(create(), Buffer.from('\r\n'), 1)).toEqual({ frames: [''], next: 2, drops: 0 })
  })

  test('what is known to hold no separator is not searched, and still is a part of the frame', () => {
    const bytes = Buffer.from('..abc\r\nd\n')
    for (const known of [0, 1, 3, 4]) {
      expect(split(create(), bytes, 2, known)).toEqual({ frames: ['abc', 'd'], next: 9, drops: 1 })
    }
  })

  test('so many frames are enough', () => {
    expect(split(create(), Buffer.from('a\nb\nc\n'), 0, 0, 2)).toEqual({ frames: ['a', 'b'], next: 4, drops: 0 })
  })

  test('as many bytes and frames as may be', () => {
    const bytes = Buffer.alloc(MAX_SPLIT_LENGTH, 'x'.repeat(MAX_SPLIT_LENGTH / MAX_SPLIT_COUNT - 1).concat('\n'))
    const { frames, next } = split(create(), bytes)
    expect(frames).toHaveLength(MAX_SPLIT_COUNT)
    expect(next).toBe(MAX_SPLIT_LENGTH)
    const one = Buffer.alloc(MAX_SPLIT_LENGTH + 100, 'x')
    one.write('\r\n', MAX_SPLIT_LENGTH + 98)
    const { frames: whole, drops } = split(create(), one, 0, 100)
    expect(whole.map(({ length }) => length)).toEqual([MAX_SPLIT_LENGTH + 98])
    expect(drops).toBe(1)
  })

  test('what an earlier call has left behind is not found', () => {
    const splitter = create()
    split(splitter, Buffer.alloc(200, '\n'))
    expect(split(splitter, Buffer.from('a'))).toEqual({ frames: [], next: 0, drops: 0 })
    expect(split(splitter, Buffer.from('a\n'))).toEqual({ frames: ['a'], next: 2, drops: 0 })
  })
})

test('both give the same for any bytes', () => {
  const [fast, plain] = [createFastSplitter(), createPlainSplitter()]
  const bytes = fc
    .array(fc.constantFrom('\r', '\n', 'a', 'b'), { maxLength: 300 })
    .map((all) => Buffer.from(all.join('')))
  fc.assert(
    fc.property(bytes, fc.nat(300), fc.integer({ min: 1, max: 20 }), fc.nat(300), (all, begin, most, searched) => {
      const from = Math.min(begin, all.length)
      const separator = all.indexOf(LF, from)
      const known = Math.min(searched, (separator === -1 ? all.length : separator) - from)
      expect(split(fast, all, from, known, most)).toEqual(split(plain, all, from, known, most))
    }),
    { numRuns: 3000 },
  )
})

test('the fast one is taken where it can be had', () => {
  expect(createSplitter().starts.buffer.byteLength).toBe(createFastSplitter().starts.buffer.byteLength)
})
