import { defineFraming } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Decoder, Frames, Framing } from '../contracts/framing.ts'
import { z } from '../contracts/schema.ts'
import type { ByteWriter } from '../util/byte-writer.ts'
import { createSplitter } from '../util/split.ts'
import { limitOptions, withLimits } from './limits.ts'
import { SeparatorDecoder } from './separator.ts'

const options = z.strictObject({
  ending: z
    .enum(['lf', 'crlf'])
    .default('lf')
    .describe(
      'What ends a line that is written: lf (\\n) or crlf (\\r\\n). Both are understood when reading. Default: lf.',
    ),
  ...limitOptions(),
})

/** Lines of text, or of anything else that contains no LF. */
export const line = defineFraming({
  name: 'line',
  summary: 'Ends a frame at LF and drops one CR before it.',
  details:
    'A line without its LF at the end of the input is no frame: it was cut off. A payload that contains LF cannot be ' +
    'written. A payload that ends with CR is always written with CR LF behind it, so that its own CR is kept. For ' +
    'devices that end a line with CR alone use `delimiter: "\\r"`.',
  options,
  short: 'ending',
  alsoCalled: ['newline', 'lf', 'crlf'],
  examples: [
    { title: 'LF and CR LF', bytes: 'one\\r\\ntwo\\n', frames: ['one', 'two'] },
    { title: 'An empty line is an empty frame', bytes: 'a\\n\\nb\\n', frames: ['a', '', 'b'] },
    { title: 'Lines written with CR LF', options: { ending: 'crlf' }, bytes: 'OK 7\\r\\n', frames: ['OK 7'] },
  ],
  create: ({ ending, ...limits }) => withLimits(new Line(ending), limits),
})

const LF = 10
const CR = 13
const CRLF = '\r\n'
/** The ends as bytes: made once, and not for each line. */
const BYTES = { '\n': Buffer.from('\n'), [CRLF]: Buffer.from(CRLF) }

class Line implements Framing {
  readonly #ending: keyof typeof BYTES
  /** Used by all decoders, one after the other. */
  readonly #splitter = createSplitter()

  constructor(ending: 'lf' | 'crlf') {
    this.#ending = ending === 'lf' ? '\n' : CRLF
  }

  createDecoder(): Decoder {
    return new SeparatorDecoder(LF, CR, this.#splitter)
  }

  encode(payload: string | Buffer, out: ByteWriter): void {
    const isText = typeof payload === 'string'
    if (isText ? payload.includes('\n') : payload.includes(LF)) throw containsLineFeed()
    const endsWithReturn = isText ? payload.endsWith('\r') : payload[payload.length - 1] === CR
    const ending = endsWithReturn ? CRLF : this.#ending
    out.write(payload)
    out.write(isText ? ending : BYTES[ending])
  }

  /** Frames that already lie in a row with the right line ends between them are passed on as one piece. */
  encodeFrames(frames: Frames, out: ByteWriter): void {
    const { bytes, starts, ends, errors } = frames
    const length = this.#ending.length
    if (frames.seamless && frames.separator === LF && length === 1) {
      out.write(slice(bytes, starts[0]!, ends[ends.length - 1]! + 1))
      return
    }
    /** Where the first LF at or behind the frame is; not looked for when the decoder promises that frames have none. */
    let lineFeed = frames.separator === LF ? bytes.length : -1
    let from = 0
    let to = 0
    for (let i = 0; i < starts.length; i++) {
      if (errors?.has(i)) continue
      const start = starts[i]!
      const end = ends[i]!
      if (lineFeed < start) {
        lineFeed = bytes.indexOf(LF, start)
        if (lineFeed === -1) lineFeed = bytes.length
      }
      if (lineFeed < end) throw containsLineFeed()
      const asItIs =
        length === 1
          ? bytes[end] === LF && (bytes[end - 1] !== CR || end === start)
          : bytes[end] === CR && bytes[end + 1] === LF
      if (asItIs && start === to) {
        to = end + length
        continue
      }
      if (to > from) out.write(slice(bytes, from, to))
      from = start
      to = asItIs ? end + length : start
      if (!asItIs) this.encode(bytes.subarray(start, end), out)
    }
    if (to > from) out.write(slice(bytes, from, to))
  }
}

/** A small read is often one frame, and a view of all of it costs more than the look. */
function slice(bytes: Buffer, from: number, to: number): Buffer {
  return from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to)
}

function containsLineFeed(): SluiceError {
  return new SluiceError('frame_not_encodable', 'a line cannot contain a line feed', {
    hint: 'Leave out the line end: the framing line adds it. For data with line feeds use another framing.',
  })
}
