import { type FailureCode, SluiceError } from '../contracts/errors.ts'
import {
  DEFAULT_ENVELOPE,
  type Decoder,
  type Found,
  type Frames,
  type Framing,
  NEED_MORE,
} from '../contracts/framing.ts'
import { size, z } from '../contracts/schema.ts'

/** What may become of a frame that is too long. */
export type WhenTooLong = 'close' | 'skip' | 'truncate' | 'deadLetter'

/** The limits of a framing as its `create` receives them. */
export interface Limits {
  /** Longest payload in bytes; undefined leaves that to the endpoint. */
  readonly maxLength?: number | undefined
  /** Default: close. */
  readonly whenTooLong?: WhenTooLong | undefined
}

/** The option `maxLength`, the same in every framing. */
export function maxLengthOption() {
  return size()
    .refine((length) => length > 0, 'expected at least one byte')
    .optional()
    .describe(
      'Longest frame that is accepted, as a size such as 64KiB. ' +
        'Default: limits.maxFrameLength of the endpoint, which holds in any case.',
    )
}

/** The options of a framing whose decoder offers `giveUp`, so that it can go on behind a frame that is too long. */
export function limitOptions() {
  return {
    maxLength: maxLengthOption(),
    whenTooLong: z
      .enum(['close', 'skip', 'truncate', 'deadLetter'])
      .optional()
      .describe(
        'What becomes of a frame that is longer: close ends the connection and keeps the first maxLength bytes as a ' +
          'failed message; the others keep it open and go on with the next frame. skip drops the frame, truncate takes ' +
          'its first maxLength bytes for the frame, deadLetter makes a failed message of them. Each is counted and ' +
          'logged. Default: close.',
      ),
  }
}

/**
 * The same framing with limits of its own. What is written is not limited.
 * @param framing its decoders offer `giveUp` where `whenTooLong` is anything but close, and do not refuse a frame for its
 *   length by themselves
 */
export function withLimits(framing: Framing, { maxLength, whenTooLong = 'close' }: Limits): Framing {
  if (maxLength === undefined && whenTooLong === 'close') return framing
  return {
    createDecoder(limit) {
      const longest = Math.min(limit, maxLength ?? limit)
      const decoder = framing.createDecoder(longest)
      if (whenTooLong === 'close') return Object.assign(decoder, { maxLength: longest })
      return new LimitedDecoder(decoder, longest, whenTooLong)
    },
    encode: (payload, out) => framing.encode(payload, out),
    ...(framing.encodeFrames && { encodeFrames: framing.encodeFrames.bind(framing) }),
  }
}

/** The limits that are given, for `sluice check`: ", maxLength 260". */
export function limitsInWords({ maxLength, whenTooLong }: Limits): string {
  const length = maxLength === undefined ? '' : `, maxLength ${maxLength}`
  return whenTooLong === undefined ? length : `${length}, whenTooLong ${whenTooLong}`
}

/** The error for a frame that says in front how long it is. @throws always */
export function refuseLength(length: number, maxLength: number, hint: string): never {
  throw new SluiceError('frame_too_long', `a frame declares ${length} bytes; the limit is ${maxLength}`, { hint })
}

/**
 * ```
 *            too long: its first bytes become an entry
 *  ┌───────┐ ──────────────────────────────────────────▶ ┌─────────┐
 *  │ frames│                                             │ passing │ ─┐ more of it: forgotten
 *  └───────┘ ◀────────────────────────────────────────── └─────────┘ ◀┘
 *                  its end
 * ```
 */
class LimitedDecoder implements Decoder {
  readonly maxLength: number
  readonly envelope: number
  readonly separator?: number
  readonly silence?: number
  readonly nextFrames?: NonNullable<Decoder['nextFrames']>
  readonly #decoder: Decoder
  readonly #whenTooLong: Exclude<WhenTooLong, 'close'>
  /** The rest of a frame that was too long is passed over. */
  #passing = false

  constructor(decoder: Decoder, maxLength: number, whenTooLong: Exclude<WhenTooLong, 'close'>) {
    const { envelope = DEFAULT_ENVELOPE, separator, silence } = decoder
    this.#decoder = decoder
    this.#whenTooLong = whenTooLong
    this.maxLength = maxLength
    this.envelope = envelope
    if (separator !== undefined) this.separator = separator
    if (silence !== undefined) this.silence = silence
    if (decoder.nextFrames !== undefined) {
      this.nextFrames = (bytes, from, until, frames: Frames, most) =>
        this.#passing ? from : decoder.nextFrames!(bytes, from, until, frames, most)
    }
  }

  next(bytes: Buffer, from: number, to: number, found: Found): number {
    const next = this.#limit(this.#decoder.next(bytes, from, to, found), found)
    if (next !== NEED_MORE || (!this.#passing && to - from <= this.maxLength + this.envelope)) return next
    const rest = this.#decoder.giveUp!(bytes, from, to, found)
    if (rest === from) return NEED_MORE
    if (this.#passing) pass(found)
    else this.#cut(found)
    this.#passing = true
    return rest
  }

  end(bytes: Buffer, from: number, to: number, found: Found, reset: boolean): number {
    if (!this.#passing) return this.#limit(this.#decoder.end?.(bytes, from, to, found, reset) ?? NEED_MORE, found)
    if (from === to) return NEED_MORE
    this.#passing = false
    pass(found)
    return to
  }

  /** @param next what the decoder gave */
  #limit(next: number, found: Found): number {
    if (next === NEED_MORE || found.skipped) return next
    if (this.#passing) {
      this.#passing = false
      pass(found)
    } else if (found.error === undefined && lengthOf(found) > this.maxLength) {
      this.#cut(found)
    }
    return next
  }

  #cut(found: Found): void {
    const { maxLength } = this
    found.end = Math.min(found.end, found.start + maxLength)
    found.payload = found.payload?.subarray(0, maxLength)
    const [code, what] = OUTCOMES[this.#whenTooLong]
    const hint = 'Raise maxLength and limits.maxFrameLength, or check that the framing fits what the device sends.'
    found.error = new SluiceError(code, `a frame is longer than ${maxLength} bytes${what}`, { hint })
  }
}

const OUTCOMES: Readonly<Record<Exclude<WhenTooLong, 'close'>, readonly [FailureCode, string]>> = {
  skip: ['frame_skipped', ' and was dropped'],
  truncate: ['frame_cut', ' and was cut there'],
  deadLetter: ['frame_too_long', ''],
}

function pass(found: Found): void {
  found.skipped = true
  found.payload = undefined
  found.error = undefined
}

function lengthOf({ payload, start, end }: Found): number {
  return payload?.length ?? end - start
}
