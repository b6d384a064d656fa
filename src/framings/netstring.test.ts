import { expect, test } from 'vitest'
import { decodeAll, encodeOne } from '../testing/framing-run.ts'
import { netstring } from './netstring.ts'

const framing = netstring.create({})
const decode = (text: string) => decodeAll(framing, [Buffer.from(text)])

test('a length, a colon, the payload, a comma', () => {
  expect(encodeOne(framing, 'grün')).toEqual(Buffer.from('5:grün,'))
  expect(decode('0:,5:grün,')).toEqual(['=', `=${Buffer.from('grün').toString('latin1')}`])
})

test.each(['01:a,', '00:,', ':a,', 'x', '-1:a,', '1 :a,', '12345678901:'])('%s is no netstring', (text) => {
  expect(decode(text)).toEqual(['frame_invalid'])
})

test('a missing comma is seen, and breaks the stream', () => {
  expect(decode('1:ab1:c,')).toEqual(['frame_invalid'])
})

test('what is not whole at the end was cut off', () => {
  for (const text of ['3', '3:', '3:abc']) expect(decode(text)).toEqual(['frame_truncated'])
})

test('a length above the limit is refused as soon as its colon is read', () => {
  expect(decodeAll(framing, [Buffer.from('9999999999:')])).toEqual(['frame_too_long'])
})
