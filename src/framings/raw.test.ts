import { expect, test } from 'vitest'
import { decodeAll, encodeOne } from '../testing/framing-run.ts'
import { raw } from './raw.ts'

const framing = raw.create({})

test('every read is a frame', () => {
  expect(decodeAll(framing, [Buffer.from('ab'), Buffer.from('\r\n')])).toEqual(['=ab', '=\r\n'])
})

test('a read above the limit becomes several frames', () => {
  expect(decodeAll(framing, [Buffer.from('abcde')], { maxLength: 2 })).toEqual(['=ab', '=cd', '=e'])
})

test('what is written goes out as it is', () => {
  expect(encodeOne(framing, 'grüß')).toEqual(Buffer.from('grüß'))
  expect(encodeOne(framing, '')).toEqual(Buffer.alloc(0))
})
