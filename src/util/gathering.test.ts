import { expect, test, vi } from 'vitest'
import { Gathering } from './gathering.ts'

const bytes = (text: string) => Buffer.from(text)

test('what comes in pieces is there as one, and earlier views stay as they are', () => {
  const gathering = new Gathering()
  const first = gathering.add(bytes('ab'))
  const second = gathering.add(bytes('c'))
  const third = gathering.add(bytes('defgh'))
  expect([first, second, third].map(String)).toEqual(['ab', 'abc', 'abcdefgh'])
  expect(gathering.length).toBe(8)
})

test('what was given away is left alone by what comes then', () => {
  const gathering = new Gathering()
  gathering.add(bytes('ab'))
  gathering.add(bytes('c'))
  const taken = gathering.take()
  expect(gathering.length).toBe(0)
  gathering.add(taken.subarray(1))
  expect(String(gathering.add(bytes('X')))).toBe('bcX')
  expect(String(taken)).toBe('abc')
})

test('a single piece is not copied', () => {
  const gathering = new Gathering()
  const piece = bytes('abc')
  expect(gathering.add(piece).buffer).toBe(piece.buffer)
  expect(gathering.take().byteOffset).toBe(piece.byteOffset)
})

test('the bytes of many small pieces are copied a few times, and not at each', () => {
  const gathering = new Gathering()
  const allocate = vi.spyOn(Buffer, 'allocUnsafe')
  gathering.add(Buffer.alloc(100_000))
  for (let i = 0; i < 100_000; i++) gathering.add(bytes('x'))
  expect(allocate.mock.calls.filter(([size]) => size >= 100_000).length).toBeLessThanOrEqual(2)
  allocate.mockRestore()
})
