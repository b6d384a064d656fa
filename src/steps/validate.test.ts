import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { createMessages, createTestContext } from '../testing/part-context.ts'
import { runStepNow } from '../testing/run-step.ts'
import { validate } from './validate.ts'

async function run(schema: Readonly<Record<string, unknown>>, given: readonly unknown[]) {
  const step = await validate.create(validate.options.parse({ schema }), createTestContext())
  const { messages, failures } = runStepNow(step, createMessages(given))
  return { gives: messages.map(({ msg }) => msg), failures: failures.map(({ error }) => error.message) }
}

function problems(options: unknown, folder = tmpdir()) {
  return validate.check!(validate.options.parse(options), { resolvePath: (path) => join(folder, path) })
}

test('names each place that is wrong, as a pointer, and ten at most', async () => {
  const schema = {
    properties: { kg: { type: 'number' }, 'a/b': { enum: ['x', 1] }, unit: { const: 'kg' }, id: { pattern: '^A' } },
    additionalProperties: false,
  }
  expect((await run(schema, [{ kg: '2', 'a/b': 2, unit: 'g', id: 'B', 'x/~': 1 }])).failures).toEqual([
    'validate: /x~1~0 is not allowed; /kg must be number; /a~1b must be one of "x", 1; /unit must be "kg"; /id must match pattern "^A"',
  ])
  const list = { items: { type: 'number' } }
  expect((await run(list, [Array.from({ length: 13 }, () => 'x')])).failures[0]).toMatch(
    /^validate: \/0 must be number; .*\/9 must be number; and 3 more$/,
  )
  expect((await run({ type: 'object' }, [7, null, undefined])).failures).toEqual(
    Array(3).fill('validate: the value must be object'),
  )
})

test('of a message above 64 KiB the first mistake alone is looked for', async () => {
  const { failures } = await run({ items: { type: 'number' } }, [Array.from({ length: 40_000 }, () => 'x')])
  expect(failures).toEqual(['validate: /0 must be number'])
})

test('what is told of a message is short, whatever it holds', async () => {
  const options = validate.options.parse({ schema: { additionalProperties: { type: 'number' } } })
  const step = await validate.create(options, createTestContext())
  fc.assert(
    fc.property(fc.dictionary(fc.string({ maxLength: 300 }), fc.jsonValue()), (value) => {
      const { failures } = runStepNow(step, createMessages([value]))
      for (const { error } of failures) expect(error.message.length).toBeLessThan(3000)
    }),
  )
})

test('each pattern is itself', async () => {
  const schema = {
    properties: { a: { pattern: '^A' }, b: { pattern: '^B' } },
    patternProperties: { '^n': { type: 'number' } },
  }
  expect(
    (
      await run(schema, [
        { a: 'A', b: 'B', n1: 1 },
        { a: 'B', b: 'A', n1: '' },
      ])
    ).failures,
  ).toEqual(['validate: /a must match pattern "^A"; /b must match pattern "^B"; /n1 must be number'])
})

test('formats are checked', async () => {
  const fits = async (format: string, text: string) =>
    (await run({ type: 'string', format }, [text])).failures.length === 0
  for (const [format, good, bad] of [
    ['date-time', '2026-02-28t23:59:60Z', '2026-02-29T00:00:00Z'],
    ['date-time', '2026-01-01T00:00:00.5+01:00', '2026-01-01T00:00'],
    ['date', '2024-02-29', '2026-02-29'],
    ['time', '12:00:00-05:30', '24:00:00Z'],
    ['email', 'kim@example.com', 'kim'],
    ['hostname', 'db.local', 'a b'],
    ['ipv4', '10.0.0.7', '10.0.0.256'],
    ['ipv6', '::1', '10.0.0.7'],
    ['uri', 'https://example.com/a', '/a'],
    ['uuid', '00000000-0000-0000-0000-000000000000', '0'],
  ]) {
    expect([format, await fits(format!, good!), await fits(format!, bad!)]).toEqual([format, true, false])
  }
})

test('drafts: tuples are written in two ways', async () => {
  const old = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    items: [{ type: 'number' }],
    additionalItems: false,
  }
  const recent = { prefixItems: [{ type: 'number' }], items: false }
  for (const schema of [old, recent]) {
    const { gives, failures } = await run(schema, [[1], ['1'], [1, 2]])
    expect([gives, failures.length]).toEqual([[[1]], 2])
  }
  expect(
    (await run({ $defs: { n: { type: 'number' } }, properties: { a: { $ref: '#/$defs/n' } } }, [{ a: '' }])).failures,
  ).toEqual(['validate: /a must be number'])
})

test('a pattern that others need exponential time for needs none here', async () => {
  expect((await run({ pattern: '^(a+)+$' }, [`${'a'.repeat(5000)}!`])).failures).toHaveLength(1)
})

test.each<[unknown, (string | number)[], string]>([
  [
    { schema: { properties: { kg: { type: 'numbr' } } } },
    ['schema', 'properties', 'kg', 'type'],
    'type must be one of "array", ',
  ],
  [{ schema: { allOf: [{}, { minimum: 'x' }] } }, ['schema', 'allOf', 1, 'minimum'], 'minimum must be number'],
  [{ schema: { propertys: {} } }, ['schema'], 'unknown keyword: "propertys"'],
  [{ schema: { format: 'postcode' } }, ['schema'], 'unknown format "postcode"'],
  [{ schema: { pattern: '(?=a)' } }, ['schema'], 'error parsing regexp'],
  [
    { schema: { $ref: 'https://example.com/a.json' } },
    ['schema'],
    "can't resolve reference https://example.com/a.json",
  ],
  [{ schema: { $schema: 'http://json-schema.org/draft-04/schema#' } }, ['schema', '$schema'], 'only the drafts'],
  [{ schema: { $async: true } }, ['schema', '$async'], '$async is no keyword'],
])('a mistake in a schema has a place: %j', (options, path, message) => {
  const [problem] = problems(options)
  expect(problem).toMatchObject({ path })
  expect(problem!.message).toContain(message)
})

test('a file that cannot be used', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-validate-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'no.json'), '{')
  writeFileSync(join(folder, 'list.json'), '[]')
  writeFileSync(join(folder, 'wrong.json'), '{ "properties": { "a": { "type": 7 } } }')
  const messages = ['none.json', 'no.json', 'list.json', 'wrong.json'].map((file) => problems({ file }, folder)[0])
  expect(messages).toEqual([
    { path: ['file'], message: `${join(folder, 'none.json')} cannot be read: there is no such file` },
    { path: ['file'], message: expect.stringMatching(/^no\.json is no JSON: /) },
    { path: ['file'], message: 'list.json holds no JSON Schema, which is an object' },
    { path: ['file'], message: expect.stringMatching(/^wrong\.json: \/properties\/a\/type: type must be/) },
  ])
  expect(() =>
    validate.create({ file: 'none.json' }, createTestContext({ resolvePath: (path) => join(folder, path) })),
  ).toThrow('cannot be read')
})

test('one of schema and file is needed', () => {
  for (const options of [{}, { schema: {}, file: 'a' }]) expect(validate.options.safeParse(options).success).toBe(false)
  expect(problems({ schema: {} })).toEqual([])
})
