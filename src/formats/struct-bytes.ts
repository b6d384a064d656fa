import { SluiceError } from '../contracts/errors.ts'
import { isCollection } from '../contracts/record.ts'

/** What a struct is read into and written from: the value of each field by its name. */
export type Row = Record<string, unknown>

/** What is wrong with a frame, and where; `at` is an index in the bytes that were given. */
export class FieldFault extends Error {
  override readonly name = 'FieldFault'
  readonly at: number

  constructor(problem: string, at: number) {
    super(problem)
    this.at = at
  }
}

/** A frame that is being written. Its bytes belong to the one who takes them. */
export class Writer {
  /** How much has been written. */
  at = 0
  /** All memory; good until the next `reserve`. */
  bytes: Buffer
  /** The same memory. */
  view: DataView

  constructor(expected: number) {
    this.bytes = zeros(expected)
    this.view = viewOf(this.bytes)
  }

  /** Makes room for some bytes, which are 0. @returns where they begin */
  reserve(size: number): number {
    const { at } = this
    const needed = at + size
    if (needed > this.bytes.length) {
      const larger = zeros(Math.max(needed, 2 * this.bytes.length))
      this.bytes.copy(larger, 0, 0, at)
      this.bytes = larger
      this.view = viewOf(larger)
    }
    this.at = needed
    return at
  }

  append(written: Uint8Array): void {
    // Reserving may move the memory, so it comes first.
    const at = this.reserve(written.length)
    this.bytes.set(written, at)
  }

  take(): Buffer {
    return this.at === this.bytes.length ? this.bytes : this.bytes.subarray(0, this.at)
  }
}

/** From the pool of Node.js, which takes a fraction of the time that memory of its own does. */
function zeros(size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size)
  // The method of Buffer looks at its arguments for longer than it fills.
  Uint8Array.prototype.fill.call(bytes, 0)
  return bytes
}

/** A view with the same indexes as the bytes. */
export function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}

/** The error for a value that a field cannot hold: "serial is 70000, and takes a whole number from 0 to 65535". */
export function notPrintable(label: string, value: unknown, takes: string): SluiceError {
  const what = value === null || value === undefined ? 'missing' : `${shown(value)}, and takes ${takes}`
  return new SluiceError('format_not_printable', `${label} is ${what}`)
}

function shown(value: unknown): string {
  if (typeof value === 'string') return value.length > 40 ? 'a long text' : JSON.stringify(value)
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (Array.isArray(value)) return 'a list'
  if (value instanceof Date) return 'a time'
  if (isCollection(value)) return 'a Map or a Set'
  return value instanceof Uint8Array ? `${value.length} bytes` : 'an object'
}
