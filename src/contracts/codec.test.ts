import { expect, test } from 'vitest'
import { createBatch, createFramesBatch, createTestContext } from '../testing/part-context.ts'
import { ByteWriter } from '../util/byte-writer.ts'
import { Batch } from './batch.ts'
import { type Codec, contentText, encodeBatch, encodeContent, encodeEach } from './codec.ts'
import { SluiceError } from './errors.ts'
import type { Format } from './format.ts'
import type { Framing } from './framing.ts'

const { codec } = createTestContext()
const upper: Format = {
  parse: (bytes, start, end) => bytes.toString('utf8', start, end),
  print: (value) => String(value).toUpperCase(),
}

function written(write: (out: ByteWriter) => unknown): string {
  const out = new ByteWriter()
  write(out)
  return out.take().toString()
}

test('a value that nobody changed is written as the bytes it came as', () => {
  const batch = createBatch(['a', 'b'], { format: upper })
  const [first, second] = batch.messages
  const changed = { ...batch, messages: [first!, second!.with('c')] } as unknown as typeof batch
  expect(written((out) => encodeBatch(batch, { ...codec, format: upper }, out))).toBe('A\nB\n')
  expect(written((out) => encodeBatch(changed, { ...codec, format: upper }, out))).toBe('A\nC\n')
  expect(written((out) => encodeBatch(changed, codec, out))).toBe('a\nc\n')
})

test('untouched frames are given to the framing in one piece, where it can take them', () => {
  const batch = createFramesBatch(['a', 'b'], upper)
  const framing: Framing = { ...codec.framing, encodeFrames: (frames, out) => out.write(`${frames.count} frames`) }
  expect(written((out) => encodeBatch(batch, { framing, format: upper }, out))).toBe('2 frames')
  expect(written((out) => encodeBatch(batch, { framing, format: codec.format }, out))).toBe('a\nb\n')
  expect(written((out) => encodeBatch(batch, { framing: codec.framing, format: upper }, out))).toBe('a\nb\n')
})

test('encodeEach writes what can be written and gives the rest its error', () => {
  const out = new ByteWriter()
  expect(encodeEach(createBatch(['a', 'b']), codec, out)).toBeUndefined()
  expect(out.take().toString()).toBe('a\nb\n')
  const outcomes = encodeEach(createBatch<unknown>(['a', undefined, 'b']), codec, out)
  expect(outcomes).toEqual([undefined, expect.objectContaining({ code: 'format_not_printable' }), undefined])
  expect(out.take().toString()).toBe('a\nb\n')
})

test('encodeEach says how to write what has no value, because it was refused', () => {
  const error = { message: 'no JSON', code: 'format_invalid', step: '', retryable: false }
  const [message] = createBatch<unknown>([null]).messages
  const print = () => {
    throw new SluiceError('format_not_printable', 'this is null')
  }
  const format = { ...upper, print }
  const outcomes = encodeEach(Batch.of([message!.withError(error)]), { ...codec, format }, new ByteWriter())
  expect(outcomes).toMatchObject([
    { message: 'this is null', hint: 'Only its bytes are there: write map: raw before this step.' },
  ])
  expect(encodeEach(Batch.of([message!]), { ...codec, format }, new ByteWriter())?.[0]?.hint).toBeUndefined()
})

test('encodeEach leaves no half frame of a framing that throws late, and no error without a code', () => {
  const late: Framing = {
    ...codec.framing,
    encode(payload, out) {
      out.write('<')
      if (payload === 'bad') throw new Error('too late')
      out.write(payload)
      out.write('>')
    },
  }
  const out = new ByteWriter()
  const outcomes = encodeEach(createBatch(['a', 'bad', 'b']), { ...codec, framing: late }, out)
  expect(out.take().toString()).toBe('<a><b>')
  expect(outcomes?.[1]).toBeInstanceOf(SluiceError)
  expect(outcomes?.[1]).toMatchObject({ code: 'format_not_printable', message: 'too late' })
})

test('an answer is framed and formatted as its kind says', () => {
  const given: Codec = { ...codec, format: { ...upper, encodeText: (text) => Buffer.from(`[${text}]`) } }
  expect(written((out) => encodeContent('text', 'a', given, out))).toBe('[a]\n')
  expect(written((out) => encodeContent('value', 'a', given, out))).toBe('A\n')
  expect(written((out) => encodeContent('raw', 'a', given, out))).toBe('a')
  expect(written((out) => encodeContent('text', Buffer.from('a'), given, out))).toBe('a\n')
})

test('a value inside a text', () => {
  expect(contentText('a')).toBe('a')
  expect(contentText(null)).toBe('')
  expect(contentText(1.5)).toBe('1.5')
  expect(contentText(new Date(0))).toBe('1970-01-01T00:00:00.000Z')
  expect(contentText({ a: [1] })).toBe('{"a":[1]}')
  expect(contentText(new Uint8Array([65]))).toEqual(Buffer.from('A'))
})
