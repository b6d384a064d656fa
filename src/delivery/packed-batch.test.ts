import { serialize } from 'node:v8'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Batch } from '../contracts/batch.ts'
import { Frames } from '../contracts/framing.ts'
import { Message } from '../contracts/message.ts'
import { bytes } from '../formats/bytes.ts'
import { json } from '../formats/json.ts'
import { text } from '../formats/text.ts'
import { createBatch, createFramesBatch, createMessages, createTestClock, testSource } from '../testing/part-context.ts'
import { packBatch, packBehind, unpackBatch } from './packed-batch.ts'
import { copyOf, PackingSpace } from './packing-space.ts'

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

  test('with the word that more of a frame follows, for a message that was changed and for one that was not', () => {
    const given = createFramesBatch(['a', 'b'], utf8)
    for (const frames of given.frames!) frames.more = true
    expect(unpack(given, utf8).batch.messages.map(({ more }) => more)).toEqual([true, true])
    const changed = Batch.of(given.messages.map((message) => message.with(1)))
    expect(unpack(changed).batch.messages.map(({ more }) => more)).toEqual([true, true])
    expect(unpack(Batch.of(createMessages(['x']))).batch.messages[0]!.more).toBe(false)
  })

  test('with what a broker has filed it under', () => {
    const source = testSource()
    const raw = Buffer.from('a')
    const given = new Message('a', source, 'message', 5, 1, raw, 0, 1, utf8, { givenKey: 'S:1', topic: 'topic/a' })
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

describe('frames that nobody has looked at', () => {
  const asBytes = bytes.create(bytes.options.parse({}))
  const payloads = fc.array(fc.uint8Array({ maxLength: 50 }).map(Buffer.from), { minLength: 1, maxLength: 20 })

  test('come back with their source and its state, whatever they are', () => {
    const states = fc.dictionary(fc.string(), fc.oneof(fc.string({ unit: 'binary' }), fc.bigInt(), fc.date()))
    const tags = fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }))
    fc.assert(
      fc.property(fc.array(payloads, { minLength: 1, maxLength: 4 }), states, tags, (reads, state, given) => {
        const source = Object.assign(testSource({ tags: given }), { state })
        const frames = reads.flatMap((read) => createFramesBatch(read, asBytes, source).frames!)
        const batch = Batch.ofFrames(frames, asBytes, source)
        const unpacked = unpack(batch, asBytes).batch
        expect(unpacked.messages.map(facts)).toEqual(batch.messages.map(facts))
        expect(unpacked.frames?.map(({ count }) => count)).toEqual(frames.map(({ count }) => count))
      }),
    )
  })

  test('keep what stands between them where they may be passed on as they are, and no more of their read', () => {
    const read = new Frames(Buffer.from('before\none\ntwo\nbehind\n'), 10)
    read.push(7, 10)
    read.push(11, 14)
    Object.assign(read, { seamless: true, time: 5, sequence: 9 })
    const [frames] = unpack(Batch.ofFrames([read], utf8, testSource()), utf8).batch.frames!
    expect(frames!.bytes.toString()).toBe('one\ntwo\n')
    expect([frames!.starts, frames!.ends, frames!.separator, frames!.seamless]).toEqual([[0, 4], [3, 7], 10, true])
    expect([frames!.time, frames!.sequence]).toEqual([5, 9])
  })

  test('are refused when some of their bytes are missing, wherever they end', () => {
    const packed = packBatch(createFramesBatch(['one', 'two'], utf8))
    for (let length = 0; length < packed.length; length++) {
      expect(() => unpackBatch(packed.subarray(0, length), () => utf8, clock)).toThrow()
    }
  })

  test('are refused when a frame ends outside of its read', () => {
    const packed = packBatch(createFramesBatch(['one', 'two'], utf8))
    packed.writeUInt32LE(9, packed.length - 'one\ntwo'.length - 4)
    expect(() => unpackBatch(packed, () => utf8, clock)).toThrow('a frame ends outside its read')
  })

  test('of layout 1 are read', () => {
    const { client, boot, endpoint } = testSource()
    const part = {
      frames: Buffer.from('one\ntwo\n'),
      starts: Int32Array.of(0, 4),
      ends: Int32Array.of(3, 7),
      separator: 10,
      seamless: true,
      time: 5,
      sequence: 9,
    }
    const old = serialize([{ client, boot, endpoint, state: { user: 'ann' }, parts: [part] }])
    const { batch } = unpackBatch(old, () => utf8, clock)
    expect(batch.messages.map(({ msg, sequence, time }) => [msg, sequence, time])).toEqual([
      ['one', 9, 5],
      ['two', 10, 5],
    ])
    expect(batch.source!.state).toEqual({ user: 'ann' })
    expect(batch.frames![0]!.seamless).toBe(true)
  })
})

describe('several packed batches as one', () => {
  function packAll(batches: readonly Batch[]): Buffer {
    const space = new PackingSpace()
    for (const batch of batches) packBehind(batch, space)
    return copyOf(space.written)
  }

  test('come back behind each other, untouched frames and other values', () => {
    const other = testSource({ id: 'other-1' })
    const batches = [
      createFramesBatch(['"a"', '"b"'], asJson),
      createBatch([{ c: 1 }]),
      createFramesBatch(['"d"'], asJson, other),
    ]
    const { batch, failed } = unpackBatch(packAll(batches), () => asJson, clock)
    expect(failed).toEqual([])
    expect(batch.messages.map(facts)).toEqual(batches.flatMap(({ messages }) => messages.map(facts)))
  })

  test('are refused when some of their bytes are missing', () => {
    const packed = packAll(['a', 'b'].map((text) => createFramesBatch([text], utf8)))
    expect(() => unpackBatch(packed.subarray(0, -1), () => utf8, clock)).toThrow('the bytes end too early')
  })

  test('one that cannot be packed leaves the others as they are', () => {
    const space = new PackingSpace()
    const cannot = createBatch([() => 1])
    expect(() => packBehind(cannot, space)).toThrow('could not be cloned')
    expect(space.length).toBe(0)
    packBehind(createFramesBatch(['"a"'], asJson), space)
    expect(() => packBehind(cannot, space)).toThrow('could not be cloned')
    packBehind(createBatch(['b']), space)
    expect(unpackBatch(copyOf(space.written), () => asJson, clock).batch.messages.map(({ msg }) => msg)).toEqual([
      'a',
      'b',
    ])
  })

  test('the space is used again, with nothing of what was in it, and gives up what one long message needed', () => {
    const space = new PackingSpace()
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 5000 }), { minLength: 1, maxLength: 5 }), (texts) => {
        space.clear()
        for (const text of texts) packBehind(createFramesBatch([text], utf8), space)
        const { batch } = unpackBatch(copyOf(space.written), () => utf8, clock)
        expect(batch.messages.map(({ msg }) => msg)).toEqual(texts)
      }),
    )
    packBehind(createFramesBatch(['x'.repeat(2 ** 20)], utf8), space)
    expect(space.written.buffer.byteLength).toBeGreaterThan(2 ** 20)
    space.clear()
    expect(space.written.buffer.byteLength).toBe(0)
  })
})

test('bytes that are something else are refused or read, and nothing worse', () => {
  fc.assert(
    fc.property(fc.constantFrom(0, 1, 2, 255), fc.uint8Array({ maxLength: 100 }), (first, rest) => {
      try {
        expect(unpackBatch(Buffer.of(first, ...rest), () => utf8, clock).batch).toBeInstanceOf(Batch)
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(Error)
      }
    }),
  )
})
