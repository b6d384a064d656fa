import { isAscii, isUtf8 } from 'node:buffer'
import { type Cursor, FieldFault, type Fixed, notPrintable, type Variable, type Writer } from './struct-bytes.ts'

export type TextEncoding = 'utf-8' | 'latin1' | 'ascii'

/** How many bytes a field has in this frame. */
export interface Length {
  /** The least that it can be. */
  readonly min: number
  /** Of the frame that is read. @throws FieldFault when it is no length */
  read(cursor: Cursor): number
  /** What other fields of the value say; undefined when they say nothing, or are written to fit. */
  write(writer: Writer): number | undefined
}

/** Turns the bytes of a field into its value and back. */
interface Content {
  /** @param at where the field begins, for faults */
  read(bytes: Buffer, from: number, to: number, at: number): unknown
  /** @throws SluiceError `format_not_printable` */
  write(value: unknown): Buffer
}

/** A text. A character that the encoding cannot hold is refused, and so are bytes that are no text in it. */
export function textContent(encoding: TextEncoding, label: string): Content {
  const node = encoding === 'utf-8' ? 'utf8' : 'latin1'
  return {
    read(bytes, from, to, at) {
      const text = bytes.toString(node, from, to)
      if (encoding === 'utf-8' ? text.includes('\ufffd') && !isUtf8(bytes.subarray(from, to)) : false) {
        throw new FieldFault(`${label} is no UTF-8 text`, at)
      }
      if (encoding === 'ascii' && !isAscii(bytes.subarray(from, to)))
        throw new FieldFault(`${label} is no ASCII text`, at)
      return text
    },
    write(value) {
      const holds = { 'utf-8': /^\P{Surrogate}*$/u, latin1: /^[\0-\xff]*$/, ascii: /^[\0-\x7f]*$/ }[encoding]
      if (typeof value !== 'string' || !holds.test(value)) throw notPrintable(label, value, `a text in ${encoding}`)
      return Buffer.from(value, node)
    },
  }
}

/** Bytes; the value is a copy, since it outlives what was read. */
export function bytesContent(label: string): Content {
  return {
    read: (bytes, from, to) => Buffer.from(bytes.subarray(from, to)),
    write(value) {
      if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      throw notPrintable(label, value, 'bytes')
    },
  }
}

/**
 * A content of always the same size.
 * @param padding the byte that fills it up behind what is shorter, and that is taken away; undefined for none
 */
export function fixedContent(content: Content, size: number, padding: number | undefined, label: string): Fixed {
  return {
    size,
    reader: (offset) => (_view, at, bytes) => {
      const from = at + offset - bytes.byteOffset
      let to = from + size
      if (padding !== undefined) while (to > from && bytes[to - 1] === padding) to--
      return content.read(bytes, from, to, at + offset)
    },
    write({ bytes }, at, value) {
      const written = content.write(value)
      const fits = padding === undefined ? written.length === size : written.length <= size
      if (!fits) throw notPrintable(label, value, `${padding === undefined ? '' : 'at most '}${size} bytes`)
      bytes.set(written, at)
      if (padding !== undefined) bytes.fill(padding, at + written.length, at + size)
    },
  }
}

/** A content whose length stands elsewhere. */
export function sizedContent(content: Content, length: Length, label: string): Variable {
  return {
    size: undefined,
    minSize: length.min,
    read(cursor) {
      const at = cursor.take(length.read(cursor), label)
      const { byteOffset } = cursor.bytes
      return content.read(cursor.bytes, at - byteOffset, cursor.at - byteOffset, at)
    },
    write(writer, value) {
      const written = content.write(value)
      const expected = length.write(writer)
      if (expected !== undefined && expected !== written.length) throw notPrintable(label, value, `${expected} bytes`)
      // Reserving may move the memory, so it comes first.
      const at = writer.reserve(written.length)
      writer.bytes.set(written, at)
    },
  }
}

/** A content that ends before certain bytes, which are passed over. */
export function terminatedContent(content: Content, end: Buffer, label: string): Variable {
  return {
    size: undefined,
    minSize: end.length,
    read(cursor) {
      const { bytes, at } = cursor
      const from = at - bytes.byteOffset
      // No farther than the frame: what follows in the buffer may be long.
      const length = bytes.subarray(from, cursor.end - bytes.byteOffset).indexOf(end)
      if (length === -1) throw new FieldFault(`${label} has no end`, at)
      cursor.at = at + length + end.length
      return content.read(bytes, from, from + length, at)
    },
    write(writer, value) {
      const written = content.write(value)
      const whole = Buffer.concat([written, end])
      if (whole.indexOf(end) !== written.length) throw notPrintable(label, value, 'what does not hold its end')
      const at = writer.reserve(whole.length)
      writer.bytes.set(whole, at)
    },
  }
}

/** Bytes that mean nothing: they are passed over, and written as `fill`. */
export function padding(size: number, fill: number): Fixed {
  return {
    size,
    reader: () => () => undefined,
    write: ({ bytes }, at) => void bytes.fill(fill, at, at + size),
  }
}
