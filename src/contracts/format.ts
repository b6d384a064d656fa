import { formatBytes } from '../util/escapes.ts'
import { BYTE_ORDER_MARK, findInvalidUtf8, REPLACEMENT } from '../util/utf8.ts'
import { SluiceError } from './errors.ts'
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
  /**
   * Settles when the format can be used, with the reason when it cannot; it never rejects. Nothing is parsed or printed
   * before. Absent means at once: only a format that compiles something while it is made needs time.
   */
  readonly ready?: Promise<SluiceError | undefined>
  /** The bytes of a reply's `text` in this format's character set. Absent means UTF-8. */
  encodeText?(text: string): Buffer
}

/** What a format may use while it is made. */
export interface FormatContext {
  /** A path of the configuration, made absolute: relative ones start at the configuration file's folder. */
  resolvePath(path: string): string
  /**
   * Where a package lies that only this format needs, so that nobody else has to install it. It is looked for beside the
   * configuration file, then beside Sluice.
   * @param name as it is imported
   * @returns the absolute path of what a `require` of it loads
   * @throws SluiceError `package_missing`, saying what to install
   */
  resolvePackage(name: string): string
}

/**
 * The text of `bytes[start, end)`, for formats that are text. A byte order mark is kept, so that the text gives the same
 * bytes again.
 * @throws SluiceError `format_invalid` where the bytes are not UTF-8; they never become U+FFFD
 */
export function readUtf8(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString('utf8', start, end)
  if (text.includes(REPLACEMENT)) {
    const at = findInvalidUtf8(bytes, start, end)
    if (at !== -1) throw invalidAt('not valid UTF-8', bytes, start, end, at)
  }
  return text
}

/**
 * The same for formats to which a byte order mark in front is no part of the text.
 * @returns the mark, '' where there is none, and the text behind it
 * @throws SluiceError `format_invalid`, as {@link readUtf8} does
 */
export function readMarkedUtf8(
  bytes: Buffer,
  start: number,
  end: number,
): { readonly mark: string; readonly text: string } {
  const text = readUtf8(bytes, start, end)
  const mark = text.startsWith(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK : ''
  return { mark, text: text.slice(mark.length) }
}

/**
 * The error for a frame that cannot be parsed, with the place and the bytes around it.
 * @param at index in `bytes` of the first byte that is wrong; the message counts from the start of the frame
 * @param field what of the value it belongs to, such as `device.temps[2]`; '' for the value itself
 */
export function invalidAt(
  problem: string,
  bytes: Buffer,
  start: number,
  end: number,
  at: number,
  field = '',
): SluiceError {
  const from = Math.max(start, at - AROUND)
  const to = Math.min(end, at + AROUND)
  const shown = `${from > start ? '…' : ''}${formatBytes(bytes.subarray(from, to))}${to < end ? '…' : ''}`
  return new SluiceError(
    'format_invalid',
    `${problem} at byte ${at - start}${field && `, in ${field}`}, near "${shown}"`,
  )
}

/** How many bytes on each side of a mistake are shown. */
const AROUND = 16
