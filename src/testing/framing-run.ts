import { SluiceError } from '../contracts/errors.ts'
import type { Frames, Framing } from '../contracts/framing.ts'
import { ByteWriter } from '../util/byte-writer.ts'
import { Framer } from '../wire/framer.ts'

/** A longest payload, in bytes, that no test reaches. */
export const NO_LIMIT = 1 << 20

export interface DecodeOptions {
  /** Longest payload in bytes. Default 1 MiB. */
  readonly maxLength?: number
  /** Join neighbouring frames, for a framing that cuts where reads end. Default false. */
  readonly joined?: boolean
}

/**
 * Everything that comes of reads and of the end of input behind them, in order, one character for each byte: a frame as
 * `=bytes`, a run of bytes given up as `!bytes`, and last the code of the error that ended the stream, if one did.
 */
export function decodeAll(framing: Framing, reads: readonly Buffer[], options: DecodeOptions = {}): string[] {
  const { maxLength = NO_LIMIT, joined = false } = options
  const framer = new Framer(framing.createDecoder(maxLength), maxLength)
  const outcome: string[] = []
  const takeFrames = (frames: Frames) => {
    for (const { bytes, error } of entries(frames)) {
      const sign = error === undefined ? '=' : '!'
      if (error !== undefined && error === framer.broken) outcome.push(error.code)
      else if (outcome.at(-1)?.startsWith(sign) && (joined || sign === '!')) outcome.push(outcome.pop() + show(bytes))
      else outcome.push(sign + show(bytes))
    }
  }
  for (const read of reads) framer.feed(read, { takeFrames, onQuiet: () => false })
  takeFrames(framer.end())
  return outcome
}

/** A frame, or bytes given up. */
export interface Entry {
  readonly bytes: Buffer
  readonly error: SluiceError | undefined
}

export function entries(frames: Frames): Entry[] {
  return Array.from({ length: frames.count }, (_, i) => ({ bytes: frames.at(i), error: frames.errors?.get(i) }))
}

/** A payload framed, or undefined when the framing refuses it with `frame_not_encodable`. */
export function encodeOne(framing: Framing, payload: string | Buffer): Buffer | undefined {
  return write((out) => framing.encode(payload, out))
}

/** What is written, in a buffer of its own, or undefined when it is refused with `frame_not_encodable`. */
export function write(run: (out: ByteWriter) => void): Buffer | undefined {
  const out = new ByteWriter()
  try {
    run(out)
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'frame_not_encodable') return undefined
    throw error
  }
  return Buffer.from(out.take())
}

/** One character for each byte. */
export function show(bytes: Buffer): string {
  return bytes.toString('latin1')
}

/** A stream as reads of one byte each. */
export function singleBytes(stream: Buffer): Buffer[] {
  return Array.from(stream, (_, i) => stream.subarray(i, i + 1))
}
