import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Batch, Message } from '../contracts/message.ts'
import { json } from '../formats/json.ts'
import { text } from '../formats/text.ts'
import { createBatch, createFramesBatch, createMessages, createTestClock, testSource } from '../testing/part-context.ts'
import { packBatch, unpackBatch } from './packed-batch.ts'

const utf8 = text.create({ encoding: 'utf-8' })
const asJson = json.create(json.options.parse({}))
const clock = createTestClock()

const unpack = (batch: Batch, format = asJson) => unpackBatch(packBatch(batch), () => format, clock)

/** All that somebody may ask of a message, but its source. */
function facts({ msg, raw, event, time, sequence, key, error, endpoint, client, state }: Message) {
  return { msg, raw: raw.toString(), event, time, sequence, key, error, endpoint, client: { ...client }, state }
}

describe('a batch comes back as it was', () => {
  test('with values of every kind, and of several sources', () => {
    const values = [null, 'text', 1.5, 2n ** 70n, true, new Date(5), Buffer.from([0, 255]), { a: [1, { b: null }] }]
    const other = testSource({ id: 'other-1', tags: { room: 'north' } })
    other.state['user'] = 'ann'
    const changed = values.map((value) => createMessages(['raw'])[0]!.with(value))
    const given = Batch.of([...changed, ...createMessages(['x'], { source: other, event: 'timer' })])
    const { batch, failed } = unpack(given)
    expect(failed).toEqual([])
    expect(batch.messages.map(facts)).toEqual(given.messages.map(facts))
  })

  test('with what its keys and its onError have given', () => {
    const error = { message: 'down', code: 'sink_failed', step: 's', retryable: false }
    const [first, second] = createMessages(['a', 'b'])
    const given = [first!.withKey('k-1').asPart(2), second!.asPart(0).withError(error)]
    const { batch } = unpack(Batch.of(given))
    expect(batch.messages.map(({ key }) => key)).toEqual(given.map(({ key }) => key))
    expect(batch.messages[1]!.error).toEqual(error)
  })

  test('with what a broker has filed it under', () => {
    const source = testSource()
    const raw = Buffer.from('a')
    const given = new Message('a', source, 'message', 5, 1, raw, 0, 1, utf8, undefined, 'S:1', '', 'topic/a')
    const [message] = unpack(Batch.of([given, ...createMessages(['b'])]), utf8).batch.messages
    expect(message).toMatchObject({ topic: 'topic/a', key: 'S:1', msg: 'a' })
  })

  test('as bytes that nobody has looked at', () => {
    const given = createFramesBatch(['one', 'two', ''], utf8)
    const { batch } = unpack(given, utf8)
    expect(batch.format).toBe(utf8)
    expect(batch.frames!.map((frames) => frames.count)).toEqual([3])
    expect(batch.messages.map(facts)).toEqual(given.messages.map(facts))
  })

  test('with values that are read from their frames again: 1.0 stays 1.0', () => {
    const { batch } = unpack(Batch.of(createFramesBatch(['{"a":1.0}'], asJson).messages))
    const [message] = batch.messages
    expect(message!.msg).toEqual({ a: 1 })
    expect(message!.verbatim).toBe(asJson)
    expect(message!.raw.toString()).toBe('{"a":1.0}')
  })

  test('whatever its texts are', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' }), { minLength: 1 }), (texts) => {
        expect(unpack(createBatch(texts)).batch.messages.map(({ msg }) => msg)).toEqual(texts)
      }),
    )
  })
})

test('a frame that the format of today refuses fails alone, and keeps its bytes', () => {
  const { batch, failed } = unpack(createFramesBatch(['1', 'no json', '2'], utf8), asJson)
  expect(batch.messages.map(({ msg, sequence }) => [msg, sequence])).toEqual([
    [1, 1],
    [2, 3],
  ])
  expect(failed.map(({ message, error }) => [message.raw.toString(), error.code])).toEqual([
    ['no json', 'format_invalid'],
  ])
})

test('nothing can be replied to what has waited', () => {
  const { batch } = unpack(createBatch(['a']))
  expect(() => batch.source!.reply(1, 'text', 'OK')).toThrow('the answers of this message have been sent already')
})

test('a value that holds a function cannot be packed', () => {
  expect(() => packBatch(createBatch([{ run: () => 1 }]))).toThrow()
})
