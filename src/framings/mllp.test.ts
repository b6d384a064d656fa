import { expect, test } from 'vitest'
import { decodeAll, encodeOne } from '../testing/framing-run.ts'
import { Framer } from '../wire/framer.ts'
import { mllp } from './mllp.ts'

const framing = mllp.create({})
const reads = (...texts: string[]) => texts.map((text) => Buffer.from(text))

test('a block is 0x0b, the message, 0x1c 0x0d', () => {
  expect(encodeOne(framing, 'MSH|A\r')).toEqual(Buffer.from('\x0bMSH|A\r\x1c\r'))
  expect(encodeOne(framing, 'MSH|\x1c\r')).toBeUndefined()
})

test('who sends plain text is told what a block begins with', () => {
  const { errors } = new Framer(framing.createDecoder(100), 100).push(Buffer.from('MSH|A\r'))
  expect(errors?.get(0)?.hint).toBe('A frame begins with "\\x0b": check that this is what the device sends.')
})

test('CR and LF between blocks leave no trace, not even as unread bytes', () => {
  const framer = new Framer(framing.createDecoder(100), 100)
  expect(framer.push(Buffer.from('\x0bA\x1c\r')).count).toBe(1)
  expect(framer.push(Buffer.from('\r\n')).count).toBe(0)
  expect(framer.unread).toBe(0)
  expect(framer.push(Buffer.from('\n\x0bB\x1c\r')).at(0).toString()).toBe('B')
})

test('other bytes between blocks are given up, with the line ends in them', () => {
  const stream = ['GET /', '\r\n', '\x0bA\x1c\r\n', '\x0bB\x1c\r']
  expect(decodeAll(framing, reads(...stream))).toEqual(['!GET /\r\n', '=A', '=B'])
  expect(decodeAll(framing, reads(stream.join('')))).toEqual(['!GET /\r\n', '=A', '=B'])
})
