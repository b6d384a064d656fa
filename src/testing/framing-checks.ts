/** The single checks of {@link framingSuite}. Each throws when the framing under test breaks the contract. */
import assert from 'node:assert/strict'
import { SluiceError } from '../contracts/errors.ts'
import { DEFAULT_ENVELOPE, type Decoder, Found, Frames, type Framing, NEED_MORE } from '../contracts/framing.ts'
import { Framer } from '../wire/framer.ts'
import { decodeAll, encodeOne, entries, NO_LIMIT, show, singleBytes, write } from './framing-run.ts'
import type { Random } from './random.ts'

/** A framing with the options of one example, and what the example says of it. */
export interface FramingSubject {
  readonly framing: Framing
  /** The same framing with its option `maxLength`. */
  limitedTo(maxLength: number): Framing
  /** The same with `whenTooLong` too; undefined where the framing does not take it. */
  withPolicy(whenTooLong: keyof typeof POLICIES, maxLength: number): Framing | undefined
  readonly stream: Buffer
  readonly frames: readonly Buffer[]
  readonly cutByReads: boolean
  readonly rewrites: boolean
  readonly random: Random
}

export function givesItsFrames(subject: FramingSubject): void {
  assert.deepEqual(decode(subject, [subject.stream]), expected(subject))
}

export function givesTheSameForEverySplit(subject: FramingSubject): void {
  const { stream } = subject
  for (let at = 0; at <= stream.length; at++) {
    assert.deepEqual(
      decode(subject, [stream.subarray(0, at), stream.subarray(at)]),
      expected(subject),
      `split at ${at}`,
    )
  }
  assert.deepEqual(decode(subject, singleBytes(stream)), expected(subject), 'single bytes')
}

export function refusesOversize(subject: FramingSubject): void {
  const { stream, framing, frames, cutByReads } = subject
  const limit = Math.max(...frames.map((frame) => frame.length)) - 1
  if (limit < 1) return
  for (const chunks of [[stream], singleBytes(stream)]) {
    const byDriver = decode(subject, chunks, limit)
    const byOption = decode({ ...subject, framing: subject.limitedTo(limit) }, chunks)
    assert.deepEqual(byOption, byDriver, 'the option maxLength and the limit of the endpoint differ')
    if (!cutByReads) assert.equal(byDriver.at(-1), 'frame_too_long', 'an oversized frame was not refused')
  }
  for (const frame of framesOf(framing, stream, limit)) assert.ok(frame.length <= limit, 'a frame above the limit')
}

export function goesOnBehindLongFrames(subject: FramingSubject): void {
  const { stream, frames } = subject
  const limit = Math.max(...frames.map((frame) => frame.length)) - 1
  if (limit < 1) return
  for (const [policy, code] of Object.entries(POLICIES)) {
    const framing = subject.withPolicy(policy as keyof typeof POLICIES, limit)
    if (framing === undefined) continue
    const expected = frames.map((frame) =>
      frame.length <= limit ? `frame ${show(frame)}` : `${code} ${show(frame.subarray(0, limit))}`,
    )
    assert.deepEqual(outcomes(framing, [stream], limit), expected, policy)
    assert.deepEqual(outcomes(framing, singleBytes(stream), limit), expected, `${policy}, single bytes`)
    for (let at = 1; at < stream.length; at++) {
      const chunks = [stream.subarray(0, at), stream.subarray(at)]
      assert.deepEqual(outcomes(framing, chunks, limit), expected, `${policy}, split at ${at}`)
    }
  }
}

export function boundsItsMemory(subject: FramingSubject): void {
  const { framing, stream, random } = subject
  const limit = 64
  const bound = limit + envelopeOf(framing, limit)
  for (let at = 0; at <= stream.length; at++) {
    for (const size of [1, 7, 1024]) {
      const framer = new Framer(framing.createDecoder(limit), limit)
      framer.push(stream.subarray(0, at))
      for (let read = 0; read < 300 && framer.broken === undefined; read++) {
        framer.push(Buffer.alloc(size, stream[random.int(0, stream.length - 1)]))
        assert.ok(framer.unread <= bound, `${framer.unread} bytes are unread with a limit of ${limit}`)
      }
    }
  }
}

export function tellsAnEndInMidFrame(subject: FramingSubject): void {
  const { framing, stream } = subject
  const all = framesOf(framing, stream).map(show)
  for (let at = 0; at <= stream.length; at++) {
    const decoder = framing.createDecoder(NO_LIMIT)
    const framer = new Framer(decoder, NO_LIMIT)
    const before = entries(framer.push(stream.subarray(0, at)))
    const unread = framer.unread
    const after = entries(framer.end())
    assert.equal(framer.unread, 0, 'bytes are unread behind the end')
    assert.ok(unread === 0 || after.length > 0, `${unread} bytes vanished at the end`)
    if (subject.cutByReads || decoder.end !== undefined) continue
    const frames = [...before, ...after].filter(({ error }) => error === undefined).map(({ bytes }) => show(bytes))
    assert.deepEqual(frames, all.slice(0, frames.length), `cut at ${at}`)
  }
}

/** Work of the native search is counted; a decoder that goes over the bytes itself would run for minutes. */
export function readsLongFramesInLinearTime(subject: FramingSubject): void {
  const { maxLength = LONG } = subject.framing.createDecoder(NO_LIMIT)
  const payload = Buffer.alloc(Math.min(LONG, maxLength), 'a')
  const stream = encodeOne(subject.framing, payload) ?? subject.stream
  const bytes = Buffer.from(stream)
  const decoder = subject.framing.createDecoder(NO_LIMIT)
  const found = new Found()
  let to = 0
  let work = 0
  Object.defineProperty(bytes, 'indexOf', {
    value: (value: number | Buffer, at: number) => {
      const index = stream.subarray(0, to).indexOf(value, at)
      work += (index === -1 ? to : index) - at + 1
      return index
    },
  })
  for (let from = 0; to < stream.length; ) {
    to++
    for (let next = 0; from < to && next !== NEED_MORE; ) {
      next = decoder.next(bytes, from, to, found)
      if (next !== NEED_MORE) from = next
    }
  }
  assert.ok(work <= 100 * stream.length, `${work} bytes were searched in a stream of ${stream.length}`)
  assert.deepEqual(decode(subject, singleBytes(stream)), decode(subject, [stream]))
}

export function givesTheSameForRandomSplits(subject: FramingSubject): void {
  const stream = randomStream(subject)
  const limit = subject.random.int(0, 2) === 0 ? 12 : NO_LIMIT
  const whole = decode(subject, [stream], limit)
  assert.deepEqual(decode(subject, randomChunks(stream, subject.random), limit), whole, show(stream))
}

export function passesOverForEverySplit(subject: FramingSubject): void {
  const { random } = subject
  const policies = Object.keys(POLICIES) as (keyof typeof POLICIES)[]
  const framing = subject.withPolicy(random.pick(policies), SHORT)
  if (framing === undefined) return
  const stream = randomStream(subject)
  const whole = decode({ ...subject, framing }, [stream])
  assert.deepEqual(decode({ ...subject, framing }, randomChunks(stream, random)), whole, show(stream))
}

/** For a decoder that offers to find many frames at one go. */
export function findsManyAsOne(subject: FramingSubject): void {
  const { framing, random } = subject
  if (framing.createDecoder(NO_LIMIT).nextFrames === undefined) return
  const chunks = randomChunks(randomStream(subject), random)
  const limit = random.int(0, 2) === 0 ? 12 : NO_LIMIT
  assert.deepEqual(decode(subject, chunks, limit), decode({ ...subject, framing: oneByOne(framing) }, chunks, limit))
}

export function readsWhatItWrites(subject: FramingSubject): void {
  const { framing, random } = subject
  const payloads: Buffer[] = []
  const written: Buffer[] = []
  for (let count = random.int(1, 3); count > 0; count--) {
    const payload = randomPayload(subject)
    const bytes = encodeOne(framing, payload)
    if (bytes === undefined) continue
    payloads.push(payload)
    written.push(bytes)
  }
  const text = randomPayload(subject).toString('latin1')
  assert.deepEqual(
    encodeOne(framing, text),
    encodeOne(framing, Buffer.from(text)),
    'a text is not written as its UTF-8',
  )
  const outcome = decode(subject, randomChunks(Buffer.concat(written), random))
  if (subject.rewrites) {
    const again = outcome.map((payload) => encodeOne(framing, Buffer.from(payload.slice(1), 'latin1')))
    assert.deepEqual(again, written)
  } else {
    assert.deepEqual(outcome, expected({ ...subject, frames: payloads }), `written: ${show(Buffer.concat(written))}`)
  }
}

/** Looks at the decoder itself: it must go forward, stay inside the bytes, and leave out no more than its envelope. */
export function copesWithGarbage(subject: FramingSubject): void {
  const { framing, random } = subject
  const bytes = randomStream(subject)
  const limit = random.pick([1, 8, NO_LIMIT])
  const decoder = framing.createDecoder(limit)
  const envelope = envelopeOf(framing, limit)
  const copy = Buffer.from(bytes)
  const found = new Found()
  const to = bytes.length
  try {
    for (let from = 0; from < to; ) {
      const next = decoder.next(bytes, from, to, found)
      if (next === NEED_MORE) break
      assert.ok(next > from && next <= to, `reading goes on at ${next} of ${from}…${to}`)
      if (found.skipped) {
        assert.ok(next - from <= envelope, `${next - from} bytes were passed over`)
      } else {
        const { start, end } = found
        assert.ok(from <= start && start <= end && end <= next, `${start}…${end} lies outside of ${from}…${next}`)
        assert.ok(start - from + next - end <= envelope, `${start - from + next - end} bytes besides the payload`)
      }
      found.skipped = false
      found.error = undefined
      found.payload = undefined
      from = next
    }
  } catch (error) {
    assert.ok(error instanceof SluiceError && error.code.startsWith('frame_'), `crashed on ${show(bytes)}: ${error}`)
  }
  assert.ok(bytes.equals(copy), 'the decoder changed the bytes')
}

export function keepsEarlierFrames(subject: FramingSubject): void {
  const framer = new Framer(subject.framing.createDecoder(NO_LIMIT), NO_LIMIT)
  const given: { frames: Frames; copy: string[] }[] = []
  const look = (frames: Frames) => entries(frames).map(({ bytes }) => show(bytes))
  for (const chunk of randomChunks(randomStream(subject), subject.random)) {
    const frames = framer.push(Buffer.from(chunk))
    given.push({ frames, copy: look(frames) })
  }
  framer.end()
  for (const { frames, copy } of given) assert.deepEqual(look(frames), copy)
}

export function writesManyAsOne(subject: FramingSubject): void {
  const { framing, random } = subject
  const framer = new Framer(framing.createDecoder(NO_LIMIT), NO_LIMIT)
  const own = randomChunks(randomStream(subject), random).map((chunk) => framer.push(chunk))
  for (const frames of [...own, randomFrames(randomStream(subject), random)]) {
    if (framing.encodeFrames === undefined) continue
    const payloads = entries(frames).filter(({ error }) => error === undefined)
    const one = write((out) => {
      for (const { bytes } of payloads) framing.encode(bytes, out)
    })
    assert.deepEqual(
      write((out) => framing.encodeFrames?.(frames, out)),
      one,
    )
  }
}

/** What becomes of frames that are too long, and the code by which that is told. */
const POLICIES = { skip: 'frame_skipped', truncate: 'frame_cut', deadLetter: 'frame_too_long' } as const

/** A limit that many random frames are above. */
const SHORT = 5

/** Bytes of the long frame; its square would take minutes. */
const LONG = 1 << 16

function decode({ framing, cutByReads }: FramingSubject, chunks: readonly Buffer[], maxLength = NO_LIMIT): string[] {
  return decodeAll(framing, chunks, { maxLength, joined: cutByReads })
}

/** Every entry, with its code where it is no whole frame. */
function outcomes(framing: Framing, chunks: readonly Buffer[], limit: number): string[] {
  const framer = new Framer(framing.createDecoder(limit), limit)
  const all: string[] = []
  const takeFrames = (frames: Frames) => {
    for (const { bytes, error } of entries(frames)) all.push(`${error?.code ?? 'frame'} ${show(bytes)}`)
  }
  for (const chunk of chunks) framer.feed(chunk, { takeFrames, onQuiet: () => false })
  takeFrames(framer.end())
  return all
}

function expected({ frames, cutByReads }: FramingSubject): string[] {
  if (!cutByReads) return frames.map((frame) => `=${show(frame)}`)
  const joined = Buffer.concat(frames)
  return joined.length === 0 ? [] : [`=${show(joined)}`]
}

function framesOf(framing: Framing, bytes: Buffer, limit = NO_LIMIT): Buffer[] {
  const frames = new Framer(framing.createDecoder(limit), limit).push(bytes)
  return entries(frames).flatMap(({ bytes, error }) => (error === undefined ? [bytes] : []))
}

function envelopeOf(framing: Framing, limit: number): number {
  return framing.createDecoder(limit).envelope ?? DEFAULT_ENVELOPE
}

function randomChunks(stream: Buffer, random: Random): Buffer[] {
  const chunks: Buffer[] = []
  const longest = random.pick([1, 3, 20])
  for (let at = 0; at < stream.length; ) {
    const next = at + random.int(1, longest)
    chunks.push(stream.subarray(at, next))
    at = next
  }
  return chunks
}

/** Any bytes, or bytes that mean something to the framing, in a length that is usual or not. */
function randomPayload({ stream, frames, random }: FramingSubject): Buffer {
  const length = frames.length > 0 && random.int(0, 1) === 0 ? random.pick(frames).length : random.int(0, 20)
  const payload = random.bytes(length)
  if (stream.length === 0 || random.int(0, 3) === 0) return payload
  for (let i = 0; i < length; i++) {
    if (random.int(0, 2) > 0)
      payload[i] = random.int(0, 2) > 0 ? stream[random.int(0, stream.length - 1)]! : payload[i]! & 15
  }
  return payload
}

/** Frames, pieces of the example and garbage in a row. */
function randomStream(subject: FramingSubject): Buffer {
  const { framing, stream, random } = subject
  const parts: Buffer[] = []
  for (let count = random.int(1, 4); count > 0; count--) {
    const payload = randomPayload(subject)
    const kind = random.int(0, 3)
    if (kind === 0) parts.push(payload)
    else if (kind === 1) parts.push(stream.subarray(random.int(0, stream.length)))
    else parts.push(encodeOne(framing, payload) ?? stream)
  }
  return Buffer.concat(parts)
}

/** Frames of another framing: at random places, in order, with or without bytes between them. */
function randomFrames(bytes: Buffer, random: Random): Frames {
  const frames = new Frames(bytes)
  for (let at = random.int(0, 2); at <= bytes.length; ) {
    const end = Math.min(bytes.length, at + random.int(0, 12))
    if (random.int(0, 9) === 0) {
      frames.errors = (frames.errors ?? new Map()).set(frames.count, new SluiceError('frame_invalid', 'given up'))
    }
    frames.push(at, end)
    at = end + random.int(1, 2)
  }
  return frames
}

/** The same framing, whose decoders find one frame after the other. */
function oneByOne(framing: Framing): Framing {
  return {
    createDecoder(maxLength): Decoder {
      const decoder = framing.createDecoder(maxLength)
      return {
        ...(decoder.maxLength !== undefined && { maxLength: decoder.maxLength }),
        ...(decoder.envelope !== undefined && { envelope: decoder.envelope }),
        ...(decoder.end && { end: decoder.end.bind(decoder) }),
        next: decoder.next.bind(decoder),
      }
    },
    encode: (payload, out) => framing.encode(payload, out),
  }
}
