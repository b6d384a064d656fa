import { createRequire } from 'node:module'
import type { ErrorObject, Options } from 'ajv'
import { RE2JS } from 're2js'
import { z } from '../contracts/schema.ts'

/** A JSON Schema, compiled. */
export interface CompiledSchema {
  isValid(value: unknown): boolean
  /** What is wrong with a value that is not valid, as clauses. @param all false: the first one alone, which takes no memory */
  problems(value: unknown, all: boolean): string[]
}

/** What is wrong with a schema: where in it, and a clause. */
export interface SchemaProblem {
  readonly path: readonly (string | number)[]
  readonly message: string
}

/** The values of `format` that are checked (JSON Schema 2020-12 Validation, section 7.3). */
export const formatNames = ['date-time', 'date', 'time', 'email', 'hostname', 'ipv4', 'ipv6', 'uri', 'uuid'] as const

/**
 * Compiles a schema of the draft that its `$schema` names: 2020-12, which is the default, or draft-07. Keywords and
 * formats that are unknown are mistakes. Patterns run in linear time.
 *
 * The validator makes code of the schema, which is the operator's own text, and of nothing that a message holds.
 */
export function compileSchema(schema: Readonly<Record<string, unknown>>): CompiledSchema | SchemaProblem[] {
  const { $schema: draft = '2020-12' } = schema
  const isOld = typeof draft === 'string' && draft.includes('draft-07')
  if (!isOld && !(typeof draft === 'string' && draft.includes('2020-12'))) {
    return [{ path: ['$schema'], message: 'only the drafts 2020-12 and draft-07 are known' }]
  }
  if ('$async' in schema) return [{ path: ['$async'], message: '$async is no keyword of JSON Schema' }]
  const Ajv = loadAjv(isOld)
  const first = new Ajv(OPTIONS)
  if (first.validateSchema(schema) !== true) {
    // The first that is said of a place is the plainest.
    const places = [...Map.groupBy(first.errors ?? [], ({ instancePath }) => instancePath)].slice(0, MAX_PROBLEMS)
    return places.map(([pointer, [error]]) => {
      const path = keysOf(pointer, schema)
      return { path, message: clauseOf(error!, String(path.at(-1) ?? 'the schema')) }
    })
  }
  try {
    const isValid = first.compile(schema)
    const every = new Ajv({ ...OPTIONS, allErrors: true }).compile(schema)
    return {
      isValid: (value) => isValid(value) === true,
      problems(value, all) {
        const validate = all ? every : isValid
        validate(value)
        return (validate.errors ?? []).map((error) => clauseOf(error, error.instancePath || 'the value'))
      },
    }
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    return [{ path: [], message: message.replace(/^strict mode: /, '') }]
  }
}

/** No more mistakes of one schema than this are told. */
const MAX_PROBLEMS = 10

const FORMATS: Readonly<Record<(typeof formatNames)[number], (text: string) => boolean>> = {
  'date-time': (text) => isDate(text.slice(0, 10)) && /^t$/i.test(text.slice(10, 11)) && isTime(text.slice(11)),
  date: isDate,
  time: isTime,
  email: (text) => z.email().safeParse(text).success,
  hostname: (text) => z.hostname().safeParse(text).success,
  ipv4: (text) => z.ipv4().safeParse(text).success,
  ipv6: (text) => z.ipv6().safeParse(text).success,
  uri: (text) => !/\s/.test(text) && URL.canParse(text),
  uuid: (text) => z.guid().safeParse(text).success,
}

/** A pattern of a schema is searched for, not anchored (JSON Schema 2020-12 Validation, section 6.3.3). */
const linear = Object.assign(
  (pattern: string) => {
    const compiled = RE2JS.compile(RE2JS.translateRegExp(pattern))
    // Ajv tells patterns apart by this text.
    return { test: (text: string) => compiled.matcher(text).find(), toString: () => pattern }
  },
  { code: 'linear' },
)

const OPTIONS: Options = {
  strictTypes: false,
  strictTuples: false,
  strictRequired: false,
  allowUnionTypes: true,
  logger: false,
  formats: FORMATS,
  code: { regExp: linear },
}

/** Loaded for whoever has such a step, and at once: a configuration is checked without waiting. */
function loadAjv(isOld: boolean): typeof import('ajv').Ajv {
  const require = createRequire(import.meta.url)
  if (isOld) return (require('ajv') as typeof import('ajv')).Ajv
  return (require('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js'))
    .Ajv2020 as unknown as typeof import('ajv').Ajv
}

/** @param where the value is */
function clauseOf({ keyword, params, message = keyword, instancePath }: ErrorObject, where: string): string {
  const extra: unknown = params['additionalProperty'] ?? params['unevaluatedProperty']
  if (typeof extra === 'string') return `${short(`${instancePath}/${pointerPart(extra)}`)} is not allowed`
  const said =
    keyword === 'enum'
      ? `must be one of ${short((params['allowedValues'] as unknown[]).map((one) => JSON.stringify(one)).join(', '))}`
      : keyword === 'const'
        ? `must be ${short(JSON.stringify(params['allowedValue']))}`
        : message.replace('must NOT', 'must not')
  return `${short(where)} ${short(said)}`
}

/** The keys that a JSON Pointer names (RFC 6901). */
function keysOf(pointer: string, within: unknown): (string | number)[] {
  let value = within
  return pointer
    .split('/')
    .slice(1)
    .map((part) => {
      const text = part.replaceAll('~1', '/').replaceAll('~0', '~')
      const key = Array.isArray(value) ? Number(text) : text
      value = (value as Record<string | number, unknown>)[key]
      return key
    })
}

function pointerPart(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}

function short(text: string): string {
  return text.length > 120 ? `${text.slice(0, 120)}…` : text
}

function isDate(text: string): boolean {
  return z.iso.date().safeParse(text).success
}

/** `full-time` of RFC 3339, section 5.6. */
function isTime(text: string): boolean {
  return /^(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/i.test(text)
}
