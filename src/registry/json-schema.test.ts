import { describe, expect, it } from 'vitest'
import { defineFormat, defineFraming, defineSink, defineStep } from '../contracts/define.ts'
import {
  bytes,
  condition,
  dataflow,
  duration,
  expr,
  formatOption,
  framingOption,
  size,
  template,
  z,
} from '../contracts/schema.ts'
import { createRegistry } from './builtins.ts'
import { createJsonSchema, type JsonSchema } from './json-schema.ts'
import { Registry } from './registry.ts'

function unused(): never {
  throw new Error('not created in this test')
}

const registry = new Registry()
  .add(
    defineFraming({
      name: 'delimiter',
      summary: 'Ends a frame at some bytes.',
      options: z.strictObject({
        any: bytes().describe('The end.'),
        maxLength: size().default(1024).describe('Longest.'),
      }),
      short: 'any',
      examples: [{ title: 'One', options: '|', bytes: 'a|', frames: ['a'] }],
      create: unused,
    }),
  )
  .add(
    defineFraming({ name: 'line', summary: 'Ends at LF.', options: z.strictObject({}), examples: [], create: unused }),
  )
  .add(
    defineFormat({
      name: 'json',
      summary: 'JSON.',
      options: z.strictObject({ maxDepth: z.int().min(1).default(64).describe('How deep.') }),
      examples: [],
      rejects: [],
      create: unused,
    }),
  )
  .add(
    defineStep({
      name: 'filter',
      summary: 'Lets some pass.',
      options: condition().describe('The condition.'),
      examples: [],
      create: unused,
    }),
  )
  .add(
    defineStep({
      name: 'route',
      summary: 'Chooses.',
      options: z.array(z.strictObject({ if: condition(), dataflow: dataflow() })),
      examples: [],
      create: unused,
    }),
  )
  .add(defineStep({ name: 'flush', summary: 'Flushes.', options: z.strictObject({}), examples: [], create: unused }))
  .add(
    defineSink({
      name: 'file',
      summary: 'Writes a file.',
      options: z.strictObject({
        path: z.string().describe('Where.'),
        format: formatOption().optional().describe('How.'),
        columns: z.record(z.string(), expr()).optional().describe('What.'),
        header: template().optional().describe('First line.'),
        custom: z.custom<() => void>((value) => typeof value === 'function').optional(),
      }),
      short: 'path',
      examples: [{ title: 'A file', config: { file: 'a.txt' } }],
      confirms: () => 'os',
      finished: 'it is written',
      create: unused,
    }),
  )

const siblings = z.strictObject({ id: z.string().optional().describe('A name.'), if: condition().optional() })

const config = z.strictObject({
  listen: z.record(
    z.string(),
    z.strictObject({
      port: z.int().min(0).max(65535).optional().describe('Where it listens.'),
      framing: framingOption(),
      format: formatOption().optional(),
      tls: z.boolean().optional(),
      idle: duration({ off: true }).default(0).describe('Quiet for so long.'),
      dataflow: dataflow(),
    }),
  ),
})

const schema = createJsonSchema(registry, { config, siblings, subscribe: z.strictObject({}) })
const defs = schema['$defs'] as Record<string, JsonSchema>

function endpoint(changes: Record<string, unknown>): unknown {
  return { listen: { a: { framing: 'line', dataflow: [], ...changes } } }
}

describe('createJsonSchema', () => {
  it.each([
    { framing: { delimiter: '|' } },
    { framing: { delimiter: { any: { hex: '0d' }, maxLength: '1KiB' } } },
    { framing: { line: {} }, format: 'json' },
    { format: { json: { maxDepth: 3 } } },
    { port: 9100, idle: '30s' },
    { port: '${env.PORT}', tls: '${env.TLS:-true}', idle: '${env.IDLE}' },
    { idle: 'off' },
    { idle: false },
    { dataflow: 'shared' },
    { dataflow: [{ filter: 'msg.a > 1', id: 'hot', if: true }] },
    { dataflow: [{ file: 'a.txt' }, { file: { path: 'a.txt', columns: { a: 'msg.a' }, format: 'json' } }] },
    { dataflow: [{ route: [{ if: 'msg', dataflow: [{ filter: 'msg' }] }] }] },
    { dataflow: ['flush', { flush: null }, { flush: {} }] },
  ])('allows what is valid: %j', (changes) => {
    expect(problems(endpoint(changes))).toEqual([])
  })

  it.each([
    { framing: 'delimiter' },
    { framing: 'lines' },
    { framing: { line: {}, delimiter: '|' } },
    { framing: { line: { ending: 'lf' } } },
    { format: { json: { maxDepth: 0 } } },
    { format: { json: { maxDepth: 'deep' } } },
    { port: 70_000 },
    { port: 'any' },
    { idle: '30' },
    { idle: 30 },
    { unknown: 1 },
    { dataflow: [{ id: 'a' }] },
    { dataflow: [{ filter: 'a', file: 'b' }] },
    { dataflow: [{ filtr: 'a' }] },
    { dataflow: ['filter'] },
    { dataflow: [{ file: {} }] },
    { dataflow: [{ file: { path: 'a', custom: 1 } }] },
    { dataflow: [{ route: [{ if: 'msg', dataflow: [{ nothing: 1 }] }] }] },
  ])('refuses what is not: %j', (changes) => {
    expect(problems(endpoint(changes))).not.toEqual([])
  })

  it('explains parts and options', () => {
    const [line] = defs['framing']!['anyOf'] as JsonSchema[]
    expect(line).toEqual({ const: 'line', description: 'Ends at LF.' })
    const text = JSON.stringify(schema)
    expect(text).toContain('Longest. A number of bytes with its unit, such as 64KiB.')
    expect(text).toContain('"default":"1KiB"')
    expect(text).toContain('"default":"off"')
    expect(text).toContain('The condition. An expression that decides, such as msg.temp > 30.')
    expect(text).toContain('"examples":["a.txt"]')
  })

  it('holds nothing that JSON Schema does not know', () => {
    expect(JSON.stringify(schema)).not.toMatch(/"marker"|"off":|9007199254740991/)
    expect(JSON.parse(JSON.stringify(schema))).toEqual(schema)
  })

  it('allows every example of every built-in part', () => {
    const all = createRegistry()
    const builtins = createJsonSchema(all, {
      config,
      siblings: siblings.extend(otherSiblings),
      subscribe: z.strictObject({}),
    })
    const check = (changes: Record<string, unknown>) => problems(endpoint(changes), builtins, builtins)
    for (const { name, examples } of [...all.list('framing')]) {
      for (const { options = {} } of examples) expect(check({ framing: { [name]: options } })).toEqual([])
    }
    for (const { name, examples } of all.list('format')) {
      for (const { options = {} } of examples) expect(check({ format: { [name]: options } })).toEqual([])
    }
    for (const { examples } of [...all.list('step'), ...all.list('sink')]) {
      for (const { config: step } of examples) expect(check({ dataflow: [step] })).toEqual([])
    }
  })
})

const otherSiblings = { else: dataflow().optional(), onError: dataflow().optional(), timeout: duration().optional() }

/** As much of a validator as these schemas need: the places where a value does not fit. */
function problems(value: unknown, part: JsonSchema = schema, root: JsonSchema = schema, at = ''): string[] {
  const fits = (one: JsonSchema) => problems(value, one, root, at).length === 0
  const found: string[] = []
  const { type, const: constant, enum: choices, anyOf, oneOf, items, pattern, minimum, maximum, $ref } = part
  if (typeof $ref === 'string') {
    const target = (root['$defs'] as Record<string, JsonSchema>)[$ref.replace('#/$defs/', '')]!
    found.push(...problems(value, target, root, at))
  }
  if (type !== undefined && ![type].flat().some((one) => hasType(value, one as string))) found.push(`${at}: type`)
  if (constant !== undefined && value !== constant) found.push(`${at}: const`)
  if (choices !== undefined && !(choices as unknown[]).includes(value)) found.push(`${at}: enum`)
  if (anyOf !== undefined && !(anyOf as JsonSchema[]).some(fits)) found.push(`${at}: anyOf`)
  if (oneOf !== undefined && (oneOf as JsonSchema[]).filter(fits).length !== 1) found.push(`${at}: oneOf`)
  if (typeof value === 'string' && pattern !== undefined && !new RegExp(pattern as string).test(value)) {
    found.push(`${at}: pattern`)
  }
  if (typeof value === 'number' && (value < Number(minimum ?? value) || value > Number(maximum ?? value))) {
    found.push(`${at}: range`)
  }
  if (Array.isArray(value)) {
    if (items) found.push(...value.flatMap((item, i) => problems(item, items as JsonSchema, root, `${at}[${i}]`)))
  } else if (typeof value === 'object' && value !== null) {
    found.push(...objectProblems(value as Record<string, unknown>, part, root, at))
  }
  return found
}

function objectProblems(value: Record<string, unknown>, part: JsonSchema, root: JsonSchema, at: string): string[] {
  const properties = (part['properties'] ?? {}) as Record<string, JsonSchema>
  const others = part['additionalProperties'] as JsonSchema | boolean | undefined
  const count = Object.keys(value).length
  const missing = ((part['required'] ?? []) as string[]).filter((name) => !(name in value))
  const found = missing.map((name) => `${at}.${name}: missing`)
  if (count > Number(part['maxProperties'] ?? count) || count < Number(part['minProperties'] ?? count)) {
    found.push(`${at}: count`)
  }
  for (const [name, item] of Object.entries(value)) {
    const inner = properties[name] ?? others
    if (inner === false) found.push(`${at}.${name}: unknown`)
    else if (typeof inner === 'object') found.push(...problems(item, inner, root, `${at}.${name}`))
  }
  return found
}

function hasType(value: unknown, type: string): boolean {
  if (type === 'null') return value === null
  if (type === 'array') return Array.isArray(value)
  if (type === 'integer') return Number.isInteger(value)
  return typeof value === type && value !== null && !Array.isArray(value)
}
