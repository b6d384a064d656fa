import { expect, test } from 'vitest'
import { decodeAll, encodeOne } from '../testing/framing-run.ts'
import { Framer } from '../wire/framer.ts'
import { untilClose } from './until-close.ts'

const create = (options: object) => untilClose.create(untilClose.options.parse(options))
const framerOf = (options: object, limit = 1000) => new Framer(create(options).createDecoder(limit), limit)

test('all that comes is one frame, and nothing is none', () => {
  expect(decodeAll(create({}), [Buffer.from('a\nb'), Buffer.from('c')])).toEqual(['=a\nbc'])
  expect(decodeAll(create({}), [])).toEqual([])
})

test('pieces go on while bytes arrive; all but the last say that more follows', () => {
  const framer = framerOf({ streamAbove: 4 })
  expect(framer.push(Buffer.from('abcd')).count).toBe(0)
  const frames = framer.push(Buffer.from('efghi'))
  expect([frames.count, frames.more, frames.at(0).toString(), frames.at(1).toString()]).toEqual([
    2,
    true,
    'abcd',
    'efgh',
  ])
  const last = framer.end()
  expect([last.count, last.more, last.at(0).toString()]).toEqual([1, false, 'i'])
})

test('without streamAbove the limit says where the pieces begin', () => {
  expect(decodeAll(create({ maxLength: 2 }), [Buffer.from('abcde')])).toEqual(['=ab', '=cd', '=e'])
  expect(decodeAll(create({}), [Buffer.from('abcde')], { maxLength: 3 })).toEqual(['=abc', '=de'])
  expect(decodeAll(create({ streamAbove: 100 }), [Buffer.from('abcde')], { maxLength: 3 })).toEqual(['=abc', '=de'])
})

test('off refuses what is too long, or does what whenTooLong says', () => {
  const bytes = Buffer.from('abcde')
  for (const streamAbove of ['off', false]) {
    expect(decodeAll(create({ streamAbove, maxLength: 3 }), [bytes])).toEqual(['frame_too_long'])
  }
  expect(decodeAll(create({ streamAbove: 'off', maxLength: 3, whenTooLong: 'truncate' }), [bytes])).toEqual(['!abc'])
  expect(untilClose.options.safeParse({ whenTooLong: 'skip' }).success).toBe(false)
})

test('what a broken connection leaves is no frame', () => {
  const framer = framerOf({})
  framer.push(Buffer.from('abc'))
  const frames = framer.end(true)
  expect(frames.errors?.get(0)?.code).toBe('frame_truncated')
  expect(frames.at(0).toString()).toBe('abc')
})

test('what is written goes out as it is', () => {
  expect(encodeOne(create({}), 'OK')).toEqual(Buffer.from('OK'))
})
