import type Protobuf from 'protobufjs'
import { SluiceError } from '../contracts/errors.ts'
import { isRecord } from '../contracts/record.ts'
import { suggest } from '../util/suggest.ts'
import { isUnsigned } from './protobuf-decode.ts'

/** Writes an object as a message. The bytes belong to the caller. @throws SluiceError `format_not_printable`, with the field */
export function encodeMessage(library: typeof Protobuf, type: Protobuf.Type, value: unknown): Buffer {
  const message = new Encoder(library).message(value, type, '')
  const bytes = type.encode(message).finish()
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Makes what the library encodes, which takes nearly anything and would write 0 for it, of a value that fits. */
class Encoder {
  readonly #library: typeof Protobuf
  #depth = 0

  constructor(library: typeof Protobuf) {
    this.#library = library
  }

  message(given: unknown, type: Protobuf.Type, path: string): Protobuf.Message {
    const value = given instanceof Date && type.fullName === TIMESTAMP ? timestampOf(given, path) : given
    if (!isRecord(value)) return fail(`${type.name} is written from an object, and this is none`, path)
    if (this.#depth >= this.#library.util.recursionLimit) return fail('nested too deep', path)
    this.#depth++
    const properties: Record<string, unknown> = {}
    for (const [key, inner] of Object.entries(value)) {
      const field = Object.hasOwn(type.fields, key) ? type.fields[key]! : undefined
      if (field === undefined) return fail(`${type.name} has no field ${key}`, path, hintFor(key, type))
      if (inner === undefined || inner === null) continue
      const before = field.partOf?.oneof.find((other) => Object.hasOwn(properties, other))
      const way = path === '' ? key : `${path}.${key}`
      if (before !== undefined) return fail(`only one of ${before} and ${key} can be written`, way)
      properties[key] = this.#value(inner, field, way)
    }
    const missing = type.fieldsArray.find(({ name, required }) => required && !Object.hasOwn(properties, name))
    if (missing !== undefined) return fail(`${type.name} needs the field ${missing.name}`, path)
    this.#depth--
    return type.create(properties)
  }

  #value(value: unknown, field: Protobuf.Field, path: string): unknown {
    if (field.repeated) {
      if (!Array.isArray(value)) return fail('a list is needed', path)
      return value.map((one, i) => this.#single(one, field, `${path}[${i}]`))
    }
    if (!(field instanceof this.#library.MapField)) return this.#single(value, field, path)
    if (!isRecord(value)) return fail('an object is needed', path)
    const entries = Object.entries(value).map(([key, one]) => {
      const way = `${path}.${key}`
      return [this.#key(key, field.keyType, way), this.#single(one, field, way)] as const
    })
    return Object.fromEntries(entries)
  }

  #single(value: unknown, { type, resolvedType }: Protobuf.Field, path: string): unknown {
    if (resolvedType instanceof this.#library.Type) return this.message(value, resolvedType, path)
    if (resolvedType instanceof this.#library.Enum) return enumValue(value, resolvedType, path)
    switch (type) {
      case 'string':
        return typeof value === 'string' && value.isWellFormed() ? value : fail('a text is needed', path)
      case 'bytes':
        return value instanceof Uint8Array ? value : fail('bytes are needed', path, 'Make bytes of it: bytes(…).')
      case 'bool':
        return typeof value === 'boolean' ? value : fail('true or false is needed', path)
      case 'double':
        return typeof value === 'number' ? value : fail('a number is needed', path)
      case 'float':
        return typeof value === 'number' ? float(value, path) : fail('a number is needed', path)
      default:
        return this.#integer(value, type, path)
    }
  }

  #integer(value: unknown, type: string, path: string): unknown {
    const isWhole =
      typeof value === 'number' ? Number.isSafeInteger(value) : typeof value === 'string' && INTEGER.test(value)
    if (!isWhole) return fail('a whole number is needed, above 2^53 as a text', path)
    const integer = BigInt(value as number | string)
    const bits = type.endsWith('64') ? 64 : 32
    const fits = isUnsigned(type) ? BigInt.asUintN(bits, integer) : BigInt.asIntN(bits, integer)
    if (fits !== integer) return fail(`${integer} does not fit into ${type}`, path)
    return bits === 32 ? Number(integer) : this.#long(integer)
  }

  #long(integer: bigint): Protobuf.Long {
    const low = Number(BigInt.asIntN(32, integer))
    const high = Number(BigInt.asIntN(32, integer >> 32n))
    return new this.#library.util.LongBits(low, high).toLong(integer >= 2n ** 63n) as Protobuf.Long
  }

  /** A key as the library has it in a map: 64-bit integers are eight characters. */
  #key(key: string, type: string, path: string): string {
    if (type === 'string') return key.isWellFormed() ? key : fail('a text is needed', path)
    if (type === 'bool')
      return key === 'true' || key === 'false' ? key : fail('a key that is true or false is needed', path)
    const integer = this.#integer(key, type, path)
    return typeof integer === 'number' ? String(integer) : this.#library.util.longToHash(integer as Protobuf.Long)
  }
}

/** A number that is finite stays so in 32 bits, or is refused. */
function float(value: number, path: string): number {
  const isLost = Number.isFinite(value) && !Number.isFinite(Math.fround(value))
  return isLost ? fail(`${value} does not fit into float`, path) : value
}

/** At most as long as a 64-bit integer: to look at a million digits takes long. */
const INTEGER = /^-?\d{1,20}$/

function enumValue(value: unknown, { name, values }: Protobuf.Enum, path: string): number {
  if (typeof value === 'string' && Object.hasOwn(values, value)) return values[value]!
  if (typeof value === 'number' && Number.isInteger(value) && value === (value | 0)) return value
  return fail(`a name of ${name} is needed`, path, `one of ${Object.keys(values).join(', ')}`)
}

function hintFor(key: string, { fields }: Protobuf.Type): string {
  const near = suggest(key, Object.keys(fields))
  return near === undefined ? `there are ${Object.keys(fields).join(', ')}` : `did you mean ${near}?`
}

const TIMESTAMP = '.google.protobuf.Timestamp'

/** google/protobuf/timestamp.proto: the years 1 to 9999, and nanoseconds that count forward, before 1970 too. */
function timestampOf(time: Date, path: string): { seconds: number; nanos: number } {
  const seconds = Math.floor(time.getTime() / 1000)
  if (seconds >= FIRST_SECOND && seconds <= LAST_SECOND)
    return { seconds, nanos: time.getUTCMilliseconds() * 1_000_000 }
  return fail('a time that is not in the years 1 to 9999', path)
}

const FIRST_SECOND = -62_135_596_800
const LAST_SECOND = 253_402_300_799

function fail(problem: string, path: string, hint?: string): never {
  const message = path === '' ? problem : `${problem}, in ${path}`
  throw new SluiceError('format_not_printable', message, hint === undefined ? {} : { hint })
}
