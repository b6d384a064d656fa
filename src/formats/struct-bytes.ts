import { SluiceError } from '../contracts/errors.ts'

/** What a struct is read into and written from: the value of each field by its name. */
export type Row = Record<string, unknown>

/** What is wrong with a frame, and where; `at` counts from the beginning of the ArrayBuffer. */
export class FieldFault extends Error {
  override readonly name = 'FieldFault'
  readonly at: number

  constructor(problem: string, at: number) {
    super(problem)
    this.at = at
  }
}

/**
 * A frame that is being read. One serves a format for all its frames, so that nothing is made for each: the view is kept
 * for as long as frames come from the same memory. Places count from the beginning of the ArrayBuffer.
 */
export class Cursor {
  bytes: Buffer = Buffer.alloc(0)
  view = new DataView(this.bytes.buffer)
  /** What is read next. */
  at = 0
  /** Nothing is read from here on. */
  end = 0
  /** The struct that is being read, and those around it from the outermost on. */
  readonly rows: Row[] = []
  #offset = 0

  open(bytes: Buffer, start: number, end: number): void {
    // Frames of one read share a buffer, and reads share memory.
    if (bytes !== this.bytes) {
      if (bytes.buffer !== this.view.buffer) this.view = new DataView(bytes.buffer)
      this.bytes = bytes
      this.#offset = bytes.byteOffset
    }
    this.at = this.#offset + start
    this.end = this.#offset + end
  }

  /**
   * Passes over some bytes.
   * @returns where they begin
   * @throws FieldFault when there are not as many
   */
  take(size: number, label: string): number {
    const { at } = this
    if (size > this.end - at) {
      throw new FieldFault(`${label} has ${size} bytes, and the frame ends after ${this.end - at} of them,`, at)
    }
    this.at = at + size
    return at
  }
}

/** A frame that is being written. Its bytes belong to the one who takes them. */
export class Writer {
  #bytes: Buffer
  /** How much has been written. */
  at = 0
  /** As of {@link Cursor}, from the values that are written. */
  readonly rows: Row[] = []

  constructor(expected: number) {
    this.#bytes = Buffer.alloc(expected)
  }

  /** All memory; good until the next `reserve`. */
  get bytes(): Buffer {
    return this.#bytes
  }

  /** Makes room for some bytes, which are 0. @returns where they begin */
  reserve(size: number): number {
    const { at } = this
    const needed = at + size
    if (needed > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(needed, 2 * this.#bytes.length))
      this.#bytes.copy(larger, 0, 0, at)
      this.#bytes = larger
    }
    this.at = needed
    return at
  }

  take(): Buffer {
    return this.#bytes.subarray(0, this.at)
  }
}

/** Reads a value that stands at a fixed distance from `at`. `bytes` is the same memory, for texts. */
export type Read = (view: DataView, at: number, bytes: Buffer) => unknown

/** A field that has the same size in every frame. */
export interface Fixed {
  readonly size: number
  /** @param offset the distance, in bytes. The function may throw FieldFault */
  reader(offset: number): Read
  /** Writes into room that has been reserved. @throws SluiceError `format_not_printable` */
  write(writer: Writer, at: number, value: unknown): void
}

/** A field whose size depends on the frame, or that needs to know of other fields. */
export interface Variable {
  /** The size, where it is the same in every frame all the same. */
  readonly size: number | undefined
  /** No frame has it with fewer bytes. */
  readonly minSize: number
  /** @throws FieldFault */
  read(cursor: Cursor): unknown
  /** @throws SluiceError `format_not_printable` */
  write(writer: Writer, value: unknown): void
}

/** A field of fixed size where one that varies may stand too. */
export function asVariable(fixed: Fixed, label: string): Variable {
  const { size } = fixed
  const read = fixed.reader(0)
  return {
    size,
    minSize: size,
    read: (cursor) => read(cursor.view, cursor.take(size, label), cursor.bytes),
    write: (writer, value) => fixed.write(writer, writer.reserve(size), value),
  }
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
  return value instanceof Uint8Array ? `${value.length} bytes` : 'an object'
}
