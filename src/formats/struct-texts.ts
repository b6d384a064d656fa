import { isAscii, isUtf8 } from 'node:buffer'
import { type Code, js } from '../codegen/code.ts'
import { FieldFault, notPrintable, type Writer } from './struct-bytes.ts'
import { type Fixed, indexOf, type Reading, take, type Variable, type Writing } from './struct-coding.ts'

export type TextEncoding = 'utf-8' | 'latin1' | 'ascii'

/** How many bytes a field has, or how many items. */
export interface Length {
  /** The least that it can be. */
  readonly min: number
  /** Of the frame that is read; it throws FieldFault when that is no length. */
  read(reading: Reading): Code
  /** What other fields of the value say; undefined when they say nothing, or are written to fit. */
  write(writing: Writing): Code | undefined
}

/** Turns the bytes of a field into its value and back. */
interface Content {
  /** As of {@link Fixed}. The field begins at `from` */
  read(reading: Reading, from: Code, to: Code): Code
  /** An expression for the Buffer; it may throw SluiceError `format_not_printable` */
  write(writing: Writing, value: Code): Code
}

/** A text. A character that the encoding cannot hold is refused, and so are bytes that are no text in it. */
export function textContent(encoding: TextEncoding, label: string): Content {
  return {
    read({ body }, from, to) {
      if (encoding === 'latin1') return js`bytes.toString('latin1', ${from}, ${to})`
      return body.keep(body.call(encoding === 'ascii' ? asciiOf : utf8Of, js`bytes`, from, to, label))
    },
    write: ({ body }, value) => body.call(bytesOfText, value, encoding, label),
  }
}

/** The bytes of a text; undefined when the encoding cannot hold it. */
export function encode(text: string, encoding: TextEncoding): Buffer | undefined {
  const holds = { 'utf-8': /^\P{Surrogate}*$/u, latin1: /^[\0-\xff]*$/, ascii: /^[\0-\x7f]*$/ }[encoding]
  return holds.test(text) ? Buffer.from(text, encoding === 'utf-8' ? 'utf8' : 'latin1') : undefined
}

/** Bytes; the value is a copy, since it outlives what was read. */
export function bytesContent(label: string): Content {
  return {
    read: ({ body }, from, to) => body.call(copyOf, js`bytes`, from, to),
    write: ({ body }, value) => body.call(bytesGiven, value, label),
  }
}

/**
 * A content of always the same size.
 * @param padding the byte that fills it up behind what is shorter, and that is taken away; undefined for none
 */
export function fixedContent(content: Content, size: number, padding: number | undefined, label: string): Fixed {
  return {
    size,
    read(reading, place) {
      const { body } = reading
      const from = indexOf(place)
      const end = indexOf(place, size)
      const to = padding === undefined ? end : body.keep(body.call(unpadded, js`bytes`, from, end, padding))
      return content.read(reading, from, to)
    },
    write(writing, place, value) {
      const { body } = writing
      const written = content.write(writing, value)
      body.add(body.call(putFixed, js`writer.bytes`, indexOf(place), written, size, padding, value, label))
    },
  }
}

/** A content whose length stands elsewhere. */
export function sizedContent(content: Content, length: Length, label: string): Variable {
  return {
    size: undefined,
    minSize: length.min,
    read(reading) {
      const from = take(reading, length.read(reading), label)
      return content.read(reading, from, reading.body.keep(js`at`))
    },
    write(writing, value) {
      const { body } = writing
      const written = body.keep(content.write(writing, value))
      const expected = length.write(writing)
      if (expected !== undefined) body.add(body.call(mustFit, written, expected, value, label))
      body.add(js`writer.append(${written})`)
    },
  }
}

/** A content that ends before certain bytes, which are passed over. */
export function terminatedContent(content: Content, end: Buffer, label: string): Variable {
  return {
    size: undefined,
    minSize: end.length,
    read(reading) {
      const { body } = reading
      const from = body.keep(js`at`)
      const to = body.keep(body.call(endOf, js`bytes`, from, reading.end, body.constant(end), label))
      body.add(js`at = ${to} + ${end.length}`)
      return content.read(reading, from, to)
    },
    write(writing, value) {
      const { body } = writing
      body.add(body.call(appendEnded, js`writer`, content.write(writing, value), body.constant(end), value, label))
    },
  }
}

/** Bytes that mean nothing: they are passed over, and written as `fill`. */
export function padding(size: number, fill: number): Fixed {
  return {
    size,
    read: () => js`undefined`,
    write: ({ body }, place) => body.add(js`writer.bytes.fill(${fill}, ${indexOf(place)}, ${indexOf(place, size)})`),
  }
}

function utf8Of(bytes: Buffer, from: number, to: number, label: string): string {
  const text = bytes.toString('utf8', from, to)
  if (text.includes('\ufffd') && !isUtf8(bytes.subarray(from, to)))
    throw new FieldFault(`${label} is no UTF-8 text`, from)
  return text
}

function asciiOf(bytes: Buffer, from: number, to: number, label: string): string {
  if (!isAscii(bytes.subarray(from, to))) throw new FieldFault(`${label} is no ASCII text`, from)
  return bytes.toString('latin1', from, to)
}

function bytesOfText(value: unknown, encoding: TextEncoding, label: string): Buffer {
  const written = typeof value === 'string' ? encode(value, encoding) : undefined
  if (written === undefined) throw notPrintable(label, value, `a text in ${encoding}`)
  return written
}

function copyOf(bytes: Buffer, from: number, to: number): Buffer {
  return Buffer.from(bytes.subarray(from, to))
}

function bytesGiven(value: unknown, label: string): Buffer {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  throw notPrintable(label, value, 'bytes')
}

/** Where a text ends, without what fills it up. */
function unpadded(bytes: Buffer, from: number, end: number, padding: number): number {
  let to = end
  while (to > from && bytes[to - 1] === padding) to--
  return to
}

function putFixed(
  bytes: Buffer,
  at: number,
  written: Buffer,
  size: number,
  padding: number | undefined,
  value: unknown,
  label: string,
): void {
  const fits = padding === undefined ? written.length === size : written.length <= size
  if (!fits) throw notPrintable(label, value, `${padding === undefined ? '' : 'at most '}${size} bytes`)
  bytes.set(written, at)
  if (padding !== undefined) bytes.fill(padding, at + written.length, at + size)
}

function mustFit(written: Buffer, expected: number, value: unknown, label: string): void {
  if (written.length !== expected) throw notPrintable(label, value, `${expected} bytes`)
}

/** Where a text ends: before `mark`, and no farther than the frame, since what follows in the buffer may be long. */
function endOf(bytes: Buffer, from: number, end: number, mark: Buffer, label: string): number {
  const length = bytes.subarray(from, end).indexOf(mark)
  if (length === -1) throw new FieldFault(`${label} has no end`, from)
  return from + length
}

function appendEnded(writer: Writer, written: Buffer, mark: Buffer, value: unknown, label: string): void {
  const whole = Buffer.concat([written, mark])
  if (whole.indexOf(mark) !== written.length) throw notPrintable(label, value, 'what does not hold its end')
  writer.append(whole)
}
