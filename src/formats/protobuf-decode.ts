import type Protobuf from 'protobufjs'
import { SluiceError } from '../contracts/errors.ts'
import { invalidAt } from '../contracts/format.ts'
import { findInvalidUtf8, REPLACEMENT } from '../util/utf8.ts'

/** Reads a message. @throws SluiceError `format_invalid` */
export function decodeMessage(
  library: typeof Protobuf,
  type: Protobuf.Type,
  bytes: Buffer,
  start: number,
  end: number,
  defaults: boolean,
): Record<string, unknown> {
  const reader = library.Reader.create(bytes.subarray(start, end))
  reader.discardUnknown = true
  // The library's own replaces what is not UTF-8 in some cases, and takes a byte order mark away in others.
  reader.string = () => readText(reader)
  reader.stringVerify = reader.string
  try {
    return toObject(library, type.decode(reader), type, defaults)
  } catch (thrown) {
    const at = Math.min(reader.pos, end - start)
    const place = library.Reader.create(bytes.subarray(start, end))
    const problem = `not a message ${type.fullName.slice(1)}: ${problemOf(thrown)}`
    throw invalidAt(problem, bytes, start, end, start + at, fieldAt(library, type, place, place.len, at))
  }
}

function problemOf(thrown: unknown): string {
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return message.startsWith('index out of range') ? 'a length or a value reaches behind its end' : message
}

function readText(reader: Protobuf.Reader): string {
  const bytes = reader.bytes() as Buffer
  const text = bytes.toString('utf8')
  if (text.includes(REPLACEMENT)) {
    const wrong = findInvalidUtf8(bytes, 0, bytes.length)
    if (wrong !== -1) {
      reader.pos -= bytes.length - wrong
      throw new SluiceError('format_invalid', 'a string that is not UTF-8')
    }
  }
  return text
}

function toObject(
  library: typeof Protobuf,
  message: object,
  type: Protobuf.Type,
  defaults: boolean,
): Record<string, unknown> {
  const decoded = message as Readonly<Record<string, unknown>>
  const value: Record<string, unknown> = {}
  for (const field of type.fieldsArray) {
    const { name } = field
    if (isSent(decoded, field)) value[name] = toValue(library, decoded[name], field, defaults)
    else if (defaults && field.partOf === null) addDefault(library, value, field)
  }
  return value
}

/** The library gives every message a list for each repeated field, and an object for each map. */
function isSent(decoded: Readonly<Record<string, unknown>>, { name, repeated, map }: Protobuf.Field): boolean {
  if (!Object.hasOwn(decoded, name)) return false
  return repeated || map ? Object.keys(decoded[name] as object).length > 0 : true
}

function addDefault(library: typeof Protobuf, value: Record<string, unknown>, field: Protobuf.Field): void {
  if (field.repeated) value[field.name] = []
  else if (field.map) value[field.name] = {}
  else if (!(field.resolvedType instanceof library.Type)) {
    // The library takes a default of bytes for base64 where it could be that.
    const text = String(field.options?.['default'] ?? '')
    value[field.name] = field.type === 'bytes' ? Buffer.from(text) : toScalar(library, field.typeDefault, field)
  }
}

function toValue(library: typeof Protobuf, value: unknown, field: Protobuf.Field, defaults: boolean): unknown {
  if (field.repeated) return (value as unknown[]).map((one) => toSingle(library, one, field, defaults))
  if (!(field instanceof library.MapField)) return toSingle(library, value, field, defaults)
  const map: Record<string, unknown> = {}
  for (const [written, one] of Object.entries(value as object)) {
    const isLong = field.keyType.includes('64')
    const key = isLong ? String(library.util.longFromHash(written, isUnsigned(field.keyType))) : written
    if (key === '__proto__')
      throw new SluiceError('format_invalid', `the key __proto__ in ${field.name}, which is refused`)
    map[key] = toSingle(library, one, field, defaults)
  }
  return map
}

function toSingle(library: typeof Protobuf, value: unknown, field: Protobuf.Field, defaults: boolean): unknown {
  const { resolvedType } = field
  if (resolvedType instanceof library.Type) return toObject(library, value as object, resolvedType, defaults)
  return toScalar(library, value, field)
}

function toScalar(library: typeof Protobuf, value: unknown, { resolvedType }: Protobuf.Field): unknown {
  if (resolvedType instanceof library.Enum) return resolvedType.valuesById[value as number] ?? value
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value
  // A 64-bit integer is all that is left: no BigInt leaves a format, and no digits are lost.
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : String(value)
}

export function isUnsigned(type: string): boolean {
  return type === 'uint32' || type === 'uint64' || type.startsWith('fixed')
}

/** Which field lies at a place, as far as the bytes before it can be read. */
function fieldAt(
  library: typeof Protobuf,
  type: Protobuf.Type,
  reader: Protobuf.Reader,
  end: number,
  at: number,
): string {
  try {
    while (reader.pos < end) {
      const tag = reader.uint32()
      const field = type.fieldsById[tag >>> 3]
      const name = field?.name ?? ''
      const isLong = (tag & 7) === LENGTH_DELIMITED
      const valueEnd = isLong ? reader.uint32() + reader.pos : endOfShort(reader, tag)
      if (at >= valueEnd) {
        reader.pos = valueEnd
        continue
      }
      const inner = field?.resolvedType
      if (!isLong || !(inner instanceof library.Type) || field?.map || at < reader.pos) return name
      const deeper = fieldAt(library, inner, reader, Math.min(valueEnd, end), at)
      return deeper === '' ? name : `${name}.${deeper}`
    }
  } catch {
    // The bytes end here; what was found so far is all that is known.
  }
  return ''
}

/** The wire type of texts, bytes, messages and packed lists. */
const LENGTH_DELIMITED = 2

function endOfShort(reader: Protobuf.Reader, tag: number): number {
  const from = reader.pos
  try {
    reader.skipType(tag & 7)
    return reader.pos
  } catch {
    return Number.POSITIVE_INFINITY
  } finally {
    reader.pos = from
  }
}
