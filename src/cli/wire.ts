import { type Codec, encodeContent } from '../contracts/codec.ts'
import { toSluiceError } from '../contracts/errors.ts'
import type { Frames } from '../contracts/framing.ts'
import type { OpenConnection } from '../library/open-connection.ts'
import { ByteWriter } from '../util/byte-writer.ts'
import { EscapeError, parseBytes } from '../util/escapes.ts'
import { type FrameReceiver, Framer } from '../wire/framer.ts'
import { showBytes, showValue } from './safe-text.ts'

/** Something that has arrived. */
export interface Arrived {
  /** Without what the framing puts around it. */
  readonly bytes: Buffer
  /** Safe for a terminal. */
  readonly shown: string
  /** Framing or format refuses it: a clause. */
  readonly problem?: string
}

/** What was asked for on the command line. */
export interface WireOptions {
  /** Undefined: bytes go as they are, and a line that is typed gets `eol`. */
  readonly framing: unknown
  /** Undefined: text and bytes. */
  readonly format: unknown
  /** What stands behind a line that was typed, without a framing. */
  readonly eol: string
}

/** Turns what arrives into what is shown, and what is typed into bytes. */
export interface Wire {
  /** Gives what a read completes to the `onArrived` of its making. */
  read(chunk: Buffer): void
  /** The other side has ended its input. */
  end(): void
  /**
   * The bytes for a line that was typed.
   * @throws EscapeError for `\q` and the like; SluiceError what format and framing say
   */
  write(line: string): Buffer
}

export function createWire(opened: OpenConnection, options: WireOptions, onArrived: (one: Arrived) => void): Wire {
  return options.framing === undefined && options.format === undefined
    ? plainWire(options.eol, onArrived)
    : framedWire(opened, options, onArrived)
}

/** Each line of a read by itself; what has no line end is shown at once too, for it may be a prompt. */
function plainWire(eol: string, onArrived: (one: Arrived) => void): Wire {
  return {
    read(chunk) {
      for (let from = 0; from < chunk.length; ) {
        const feed = chunk.indexOf(10, from)
        const to = feed === -1 ? chunk.length : feed + 1
        const bytes = chunk.subarray(from, to)
        onArrived({ bytes, shown: showBytes(bytes) })
        from = to
      }
    },
    end: () => undefined,
    write: (line) => Buffer.concat([typedBytes(line), Buffer.from(eol, 'latin1')]),
  }
}

function framedWire(
  { incoming, outgoing, maxFrameLength }: OpenConnection,
  { format }: WireOptions,
  onArrived: (one: Arrived) => void,
): Wire {
  const framer = new Framer(incoming.framing.createDecoder(maxFrameLength), maxFrameLength)
  const takeFrames = (frames: Frames) => {
    for (let i = 0; i < frames.count; i++) onArrived(arrived(frames.at(i), frames.errors?.get(i)?.message))
  }
  const arrived = (bytes: Buffer, problem: string | undefined): Arrived => {
    if (problem !== undefined) return { bytes, shown: showBytes(bytes), problem }
    try {
      const shown = format === undefined ? showBytes(bytes) : showValue(incoming.format.parse(bytes, 0, bytes.length))
      return { bytes, shown }
    } catch (thrown) {
      return { bytes, shown: showBytes(bytes), problem: toSluiceError(thrown, 'format_invalid').message }
    }
  }
  const receiver: FrameReceiver = {
    takeFrames,
    // Silence ends a frame of some framings.
    onQuiet() {
      takeFrames(framer.end())
      return false
    },
  }
  return {
    read: (chunk) => framer.feed(chunk, receiver),
    end: () => takeFrames(framer.end()),
    write: (line) => encodeLine(line, format, outgoing),
  }
}

function encodeLine(line: string, format: unknown, outgoing: Codec): Buffer {
  const out = new ByteWriter()
  if (format === undefined) outgoing.framing.encode(typedBytes(line), out)
  else if (isText(format)) encodeContent('text', typedBytes(line).toString('utf8'), outgoing, out)
  else encodeContent('value', JSON.parse(line), outgoing, out)
  return out.take()
}

function isText(format: unknown): boolean {
  return format === 'text' || (typeof format === 'object' && format !== null && 'text' in format)
}

/**
 * The bytes of what was typed: escapes such as `\x02` are bytes, everything else is UTF-8.
 * @throws EscapeError
 */
export function typedBytes(line: string): Buffer {
  // In a configuration U+0080 to U+00FF are single bytes, which is not what somebody who types them means.
  const ascii = line.replaceAll(/[^ -~]/gu, (character) =>
    Buffer.from(character, 'utf8').toString('hex').replaceAll(/../g, '\\x$&'),
  )
  return parseBytes(ascii)
}

/** Why a line cannot be sent, in one sentence. */
export function problemOf(thrown: unknown): string {
  if (thrown instanceof SyntaxError) return `this is no JSON: ${thrown.message}`
  return thrown instanceof EscapeError ? thrown.message : toSluiceError(thrown, 'format_not_printable').message
}
