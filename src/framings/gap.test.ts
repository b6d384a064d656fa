import { expect, test } from 'vitest'
import { entries } from '../testing/framing-run.ts'
import { Framer } from '../wire/framer.ts'
import { gap } from './gap.ts'

const create = (options: object) => gap.create(gap.options.parse(options))

test('a frame ends when the driver says that it was quiet, and more may follow', () => {
  const framing = create({ silence: '50ms' })
  const decoder = framing.createDecoder(100)
  expect(decoder.silence).toBe(50)
  const framer = new Framer(decoder, 100)
  expect(framer.push(Buffer.from('on')).count).toBe(0)
  framer.push(Buffer.from('e'))
  expect(framer.end().at(0).toString()).toBe('one')
  expect(framer.end().count).toBe(0)
  framer.push(Buffer.from('two'))
  expect(framer.end().at(0).toString()).toBe('two')
})

test('behind a frame that is too long the next one begins after the silence', () => {
  const framing = create({ silence: '50ms', maxLength: 3, whenTooLong: 'deadLetter' })
  const framer = new Framer(framing.createDecoder(100), 100)
  const told = entries(framer.push(Buffer.from('abcdefg'))).map(({ bytes, error }) => [error?.code, bytes.toString()])
  expect(told).toEqual([['frame_too_long', 'abc']])
  framer.push(Buffer.from('hij'))
  expect(framer.end().count).toBe(0)
  framer.push(Buffer.from('ok'))
  expect(framer.end().at(0).toString()).toBe('ok')
})

test('a silence is needed', () => {
  expect(gap.options.safeParse({}).success).toBe(false)
  expect(gap.options.safeParse({ silence: '0ms' }).success).toBe(false)
})
