import { isAscii, isUtf8 } from 'node:buffer'
import { contentText } from '../../contracts/codec.ts'
import { checksumNames, checksums } from '../../util/checksum.ts'
import { characters, typeName } from '../values.ts'
import {
  bytes,
  choice,
  define,
  type FunctionDefinition,
  optional,
  param,
  present,
  text,
  ValueError,
  whole,
} from './define.ts'
import { part, readers } from './readers.ts'

const encoding = choice('encoding', ['utf8', 'latin1', 'ascii', 'utf16le'])

/** Functions of bytes. Where bytes are asked for, a text stands for its UTF-8 bytes. */
export const byteFunctions: Readonly<Record<string, FunctionDefinition>> = {
  bytes: define({
    params: [param('value', present)],
    summary: 'Bytes from a text (UTF-8), from a number of 0 to 255 or from a list of such numbers.',
    example: 'bytes([2, 65, 3])',
    result: 'b"\\x02A\\x03"',
    run: toBytes,
  }),
  text: define({
    params: [param('value', present), optional('encoding', encoding)],
    summary:
      'A text from bytes, or any other value as it stands in a text. The encoding is `utf8` unless it is `latin1`, `ascii` or `utf16le`; bytes that are no `utf8` or `ascii` fail the message.',
    example: 'text(b"A7")',
    result: '"A7"',
    run(value, from = 'utf8') {
      const found = contentText(value)
      return typeof found === 'string' ? found : decode(found, from)
    },
  }),
  hex: define({
    params: [param('bytes', bytes)],
    summary: 'Two hexadecimal digits for each byte.',
    example: 'hex(b"\\x02\\xff")',
    result: '"02ff"',
    run: (value) => value.toString('hex'),
  }),
  unhex: define({
    params: [param('text', text)],
    summary: 'Bytes from hexadecimal digits; white space between them is ignored.',
    example: 'unhex("02 FF")',
    result: 'b"\\x02\\xff"',
    run(value) {
      const digits = value.replaceAll(/\s/g, '')
      if (!/^(?:[0-9a-f]{2})*$/i.test(digits))
        throw new ValueError('the text is not made of pairs of hexadecimal digits')
      return Buffer.from(digits, 'hex')
    },
  }),
  base64: define({
    params: [param('bytes', bytes)],
    summary: 'Bytes as a text in Base64 (RFC 4648, section 4).',
    example: 'base64("Hello")',
    result: '"SGVsbG8="',
    run: (value) => value.toString('base64'),
  }),
  unbase64: define({
    params: [param('text', text)],
    summary: 'Bytes from a text in Base64.',
    example: 'unbase64("SGVsbG8=")',
    result: 'b"Hello"',
    run(value) {
      const written = value.replaceAll(/\s/g, '')
      const digits = /^([\w+/-]*)=*$/.exec(written)?.[1]
      if (digits === undefined || digits.length % 4 === 1) throw new ValueError('the text is not Base64')
      return Buffer.from(digits, 'base64')
    },
  }),
  slice: define({
    params: [param('value', present), param('from', whole), optional('to', whole)],
    summary:
      'A part of bytes, a text or a list, up to the place `to`, which is left out; negative places count from the end.',
    example: 'slice(b"\\x02A7\\x03", 1, -1)',
    result: 'b"A7"',
    run(value, from, to) {
      if (value instanceof Uint8Array) return Buffer.from(value.subarray(from, to))
      if (Array.isArray(value)) return value.slice(from, to)
      if (typeof value !== 'string') throw new ValueError(`${typeName(value)} has no parts`)
      const all = characters(value)
      return typeof all === 'string' ? all.slice(from, to) : all.slice(from, to).join('')
    },
  }),
  ...readers,
  bcd: define({
    params: [param('bytes', bytes), optional('at', whole), optional('length', whole)],
    summary:
      'The number whose decimal digits stand in half a byte each; all bytes unless a place and a length are given.',
    example: 'bcd(b"\\x12\\x34")',
    result: '1234',
    run(value, at = 0, length = value.length - at) {
      const digits = part(value, at, length).toString('hex')
      if (/[a-f]/.test(digits)) throw new ValueError(`${digits} is not binary coded decimal`)
      if (digits.length > 15 && !Number.isSafeInteger(Number(digits))) {
        throw new ValueError('too many digits for an exact number; hex() gives them as a text')
      }
      return Number(digits)
    },
  }),
  checksum: define({
    params: [param('bytes', bytes), param('name', choice('checksum', checksumNames))],
    summary: `A checksum as a number. There are ${checksumNames.map((name) => `\`${name}\``).join(', ')}.`,
    example: 'checksum("123456789", "crc16-modbus")',
    result: '19255',
    run: (value, name) => checksums[name].compute(value),
  }),
}

/** Never a replacement character, and never a bit that is dropped. */
function decode(value: Buffer, encoding: 'utf8' | 'latin1' | 'ascii' | 'utf16le'): string {
  if (encoding === 'utf8' && !isUtf8(value)) throw notText('UTF-8')
  if (encoding === 'ascii' && !isAscii(value)) throw notText('ASCII')
  return value.toString(encoding)
}

function notText(name: string): ValueError {
  return new ValueError(
    `the bytes are no ${name} text`,
    (argument) => `write hex(${argument}), or text(${argument}, "latin1")`,
  )
}

function toBytes(value: unknown): Buffer {
  const found = bytes.accept(value)
  if (found !== undefined) return found
  const list = Array.isArray(value) ? (value as readonly unknown[]) : typeof value === 'number' ? [value] : undefined
  if (list === undefined) throw new ValueError(`${typeName(value)} has no bytes`)
  const wrong = list.findIndex((each) => !Number.isInteger(each) || (each as number) < 0 || (each as number) > 255)
  if (wrong >= 0) throw new ValueError(`item ${wrong} is no number of 0 to 255`)
  return Buffer.from(list as readonly number[])
}
