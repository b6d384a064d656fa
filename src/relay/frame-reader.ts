import type { Format } from '../contracts/format.ts'
import type { Frames, Framing } from '../contracts/framing.ts'
import { type FrameReceiver, Framer } from '../wire/framer.ts'

/** Finds the frames in what one side of a relay sends, without a lane behind it. */
export class FrameReader implements FrameReceiver {
  readonly #framer: Framer
  readonly #onFrame: (raw: Buffer) => void

  /**
   * @param maxLength longest frame in bytes
   * @param onFrame also gets bytes that are no whole frame, in their place; the view keeps the read in memory
   */
  constructor(framing: Framing, maxLength: number, onFrame: (raw: Buffer) => void) {
    this.#framer = new Framer(framing.createDecoder(maxLength), maxLength)
    this.#onFrame = onFrame
  }

  /** Why no more frames can be found; undefined while they can. */
  get broken(): string | undefined {
    return this.#framer.broken?.message
  }

  read(chunk: Buffer): void {
    this.#framer.feed(chunk, this)
  }

  /** No more will come. */
  end(): void {
    this.takeFrames(this.#framer.end())
  }

  takeFrames(frames: Frames): void {
    for (let i = 0; i < frames.count; i++) this.#onFrame(frames.at(i))
  }

  onQuiet(): boolean {
    this.end()
    return false
  }
}

/** The value of a frame; the bytes themselves where the format refuses them. */
export function parseFrame(raw: Buffer, format: Format): unknown {
  try {
    return format.parse(raw, 0, raw.length)
  } catch {
    return raw
  }
}
