import type { Frames } from './framing.ts'

/**
 * A format turns a frame into a value and a value back into a payload. It is shared by all connections of an endpoint,
 * holds no state, does no I/O and reads no clock.
 */
export interface Format<Value = unknown> {
  /**
   * True when, for frames that `acceptsAll` takes, the value is the frame itself, as bytes or as UTF-8 text: printing
   * the value gives exactly the bytes that were parsed.
   */
  readonly identity?: true
  /**
   * Reads the value of `bytes[start, end)`. The slice is given as indexes so that no view is made per message. The
   * value may be a view of the bytes; neither side may change it.
   * @throws SluiceError `format_invalid`, saying what is wrong and where; the frame is then rejected, the stream goes on
   */
  parse(bytes: Buffer, start: number, end: number): Value
  /**
   * Writes a value.
   * @throws SluiceError `format_not_printable`
   */
  print(value: Value): string | Buffer
  /**
   * True when `parse` cannot fail for any of these frames. Optional: a format that can tell cheaply for a whole read
   * offers it, and values are then made only when a step asks for them. False means "look at each".
   */
  acceptsAll?(frames: Frames): boolean
  /** The bytes of a reply's `text` in this format's character set. Absent means UTF-8. */
  encodeText?(text: string): Buffer
}
