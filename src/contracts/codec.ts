import { ByteWriter } from '../util/byte-writer.ts'
import type { Batch } from './batch.ts'
import type { PayloadKind } from './client.ts'
import { SluiceError, toSluiceError } from './errors.ts'
import type { Format } from './format.ts'
import type { Framing } from './framing.ts'
import { jsonOf } from './json.ts'
import type { Outcomes } from './sink.ts'

/** A framing and a format together: all that is needed to write messages for one destination. */
export interface Codec {
  readonly framing: Framing
  readonly format: Format
}

/** What of a codec is needed to write. */
export interface Encoding {
  readonly framing: Pick<Framing, 'encode' | 'encodeFrames'>
  readonly format: Pick<Format, 'print'>
}

/**
 * Appends a batch in a codec. Values that nobody changed are passed on as the bytes they came as, and a whole read that
 * nobody touched goes through without a look at single messages.
 * @throws SluiceError `format_not_printable` or `frame_not_encodable`; use {@link encodeEach} to learn which message it was
 */
export function encodeBatch(batch: Batch, { framing, format }: Encoding, out: ByteWriter): void {
  if (batch.frames !== undefined && batch.format === format && framing.encodeFrames !== undefined) {
    for (const frames of batch.frames) framing.encodeFrames(frames, out)
    return
  }
  for (const message of batch.messages) {
    framing.encode(message.verbatim === format ? message.raw : format.print(message.msg), out)
  }
}

/**
 * Writes a batch for a sink of bytes: as {@link encodeBatch}, but a message that cannot be written is left out and gets
 * its error, and the others are written all the same.
 * @param out must be empty
 * @returns nothing when all messages were written, else the outcome of each
 */
export function encodeEach(batch: Batch, codec: Encoding, out: ByteWriter): Outcomes | undefined {
  try {
    encodeBatch(batch, codec, out)
    return undefined
  } catch {
    out.take()
    return encodeSingly(batch, codec, out)
  }
}

/** A framing may have written half a frame before it throws, so each message is written apart first. */
function encodeSingly(batch: Batch, { framing, format }: Encoding, out: ByteWriter): Outcomes {
  const single = new ByteWriter()
  return batch.messages.map((message) => {
    try {
      framing.encode(message.verbatim === format ? message.raw : format.print(message.msg), single)
      out.write(single.take())
      return undefined
    } catch (thrown) {
      single.take()
      const error = toSluiceError(thrown, 'format_not_printable')
      // What framing or format has refused comes to an onError without a value.
      if (message.msg !== null || message.error === undefined) return error
      return new SluiceError(error.code, error.message, { cause: error, hint: ONLY_BYTES })
    }
  })
}

const ONLY_BYTES = 'Only its bytes are there: write map: raw before this step.'

/**
 * Appends the answer that a `reply` or `send` describes.
 * @param kind `text` is framed, `value` is formatted and framed, `raw` is neither
 */
export function encodeContent(kind: PayloadKind, content: unknown, { framing, format }: Codec, out: ByteWriter): void {
  if (kind === 'text') {
    const text = contentText(content)
    framing.encode(typeof text === 'string' && format.encodeText ? format.encodeText(text) : text, out)
  } else if (kind === 'value') {
    framing.encode(format.print(content), out)
  } else {
    out.write(contentText(content))
  }
}

/**
 * A value as it appears inside a text: bytes stay bytes, times are RFC 3339, objects are JSON, null is nothing.
 * @throws SluiceError `format_not_printable`
 */
export function contentText(value: unknown): string | Buffer {
  if (typeof value === 'string' || Buffer.isBuffer(value)) return value
  if (value === null || value === undefined) return ''
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new SluiceError('format_not_printable', 'a time that is none')
    return value.toISOString()
  }
  if (typeof value === 'object') {
    const json = jsonOf(value)
    if (json === undefined) throw new SluiceError('format_not_printable', 'this value cannot be written as text')
    return json
  }
  return String(value)
}
