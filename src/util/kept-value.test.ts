import { expect, test } from 'vitest'
import { keepValue, ownText } from './kept-value.ts'

const sizeOf = (value: unknown) => keepValue(value, 0).size

test('the size grows with what is in a value', () => {
  const text = 'x'.repeat(1000)
  for (const value of [text, Buffer.from(text), [text], { text }, { a: [{ text }] }, new Map([['k', text]])]) {
    expect(sizeOf(value)).toBeGreaterThanOrEqual(1000)
    expect(sizeOf(value)).toBeLessThan(1400)
  }
  expect(sizeOf('\u4e2d'.repeat(1000))).toBeGreaterThanOrEqual(2000)
  expect(sizeOf({ [text]: 1 })).toBeGreaterThanOrEqual(1000)
  // A small value in few characters can take much: each of these is an object.
  expect(sizeOf(Array.from({ length: 1000 }, () => ({})))).toBeGreaterThan(50_000)
  expect(sizeOf(7)).toBeLessThan(50)
  expect(sizeOf(null)).toBeLessThan(50)
  expect(sizeOf(new Date(0))).toBeLessThan(100)
})

test('a value that nests deeper than calls can is measured, and one that holds itself comes to an end', () => {
  let deep: unknown = []
  for (let i = 0; i < 500_000; i++) deep = [deep]
  expect(sizeOf(deep)).toBeGreaterThan(500_000)
  const self: unknown[] = [Buffer.alloc(1024 * 1024)]
  self.push(self)
  expect(sizeOf(self)).toBeGreaterThan(100_000_000)
})

test('what is as large as its message stays as it is; a small part of one becomes a copy that equals it', () => {
  const value = {
    at: new Date(5),
    floats: new Float32Array([0.5]),
    list: ['a', 1, null, { deep: true }],
    map: new Map([['k', 'v']]),
    'n\u00e4me': 'x',
  }
  expect(keepValue(value, 200).value).toBe(value)
  const { value: copy } = keepValue(value, 1024 * 1024)
  expect(copy).toEqual(value)
  expect(copy).not.toBe(value)
  const named = JSON.parse('{"__proto__":"a","b":"c"}') as unknown
  expect(JSON.stringify(keepValue(named, 1024 * 1024).value)).toBe('{"__proto__":"a","b":"c"}')
})

test('bytes that are a view of more are copied, bytes that are not stay', () => {
  const read = Buffer.alloc(1024)
  const { value } = keepValue([read.subarray(0, 8)], 8)
  expect(value).toEqual([Buffer.alloc(8)])
  expect((value as [Buffer])[0].buffer).not.toBe(read.buffer)
  const whole = new Uint8Array(1024)
  expect(keepValue(whole, 1024).value).toBe(whole)
})

test('an object of a class stays what it is, and counts as what it may keep', () => {
  class Segment {
    readonly fields = ['a']
  }
  const segment = new Segment()
  expect(keepValue(segment, 100_000)).toEqual({ value: segment, size: 100_000 })
  expect(keepValue(segment, 10).size).toBeLessThan(300)
})

test('a text of its own is the same text, whatever characters it has', () => {
  for (const text of ['', 'short', 'a text of some length', '\ud800 alone, and \u4e2d\n"\\ others']) {
    expect(ownText(text)).toBe(text)
  }
})
