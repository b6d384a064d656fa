import { expect, test } from 'vitest'
import { createFrames } from '../testing/part-context.ts'
import { bytes } from './bytes.ts'

const format = bytes.create({})

test('the value is a view, not a copy', () => {
  const read = Buffer.from('abcdef')
  const value = format.parse(read, 2, 4)
  expect(value.toString()).toBe('cd')
  expect(value.buffer).toBe(read.buffer)
  expect(value.byteOffset).toBe(read.byteOffset + 2)
})

test('writes bytes of any kind and text', () => {
  expect(format.print(Buffer.from('a'))).toEqual(Buffer.from('a'))
  expect(format.print(new Uint8Array([1, 2, 3, 4]).subarray(1, 3) as Buffer)).toEqual(Buffer.from([2, 3]))
  expect(format.print('é' as unknown as Buffer)).toBe('é')
})

test.each([7, null, undefined, {}, ['a'], true, '\ud800'])('cannot write %o', (value) => {
  expect(() => format.print(value as unknown as Buffer)).toThrow(
    expect.objectContaining({ code: 'format_not_printable' }),
  )
})

test('accepts any frames', () => {
  expect(format.acceptsAll!(createFrames([Buffer.from([255, 254]), '']))).toBe(true)
})
