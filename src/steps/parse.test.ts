import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createMessages, createTestContext } from '../testing/part-context.ts'
import { runStepNow } from '../testing/run-step.ts'
import { parse } from './parse.ts'

async function run(options: unknown, given: readonly unknown[]) {
  const step = await parse.create(parse.options.parse(options), createTestContext())
  const { gives, failures } = runStepNow(step, createMessages(given))
  return { gives, failures: failures.map(({ error }) => error.message) }
}

function problem(options: unknown) {
  return parse.options.safeParse(options).error?.issues[0]
}

test('what a delimiter joins it takes apart again, and any other count of fields fails', async () => {
  const fields = fc.array(
    fc.string().map((text) => text.replaceAll('\t', '')),
    { minLength: 1, maxLength: 5 },
  )
  await fc.assert(
    fc.asyncProperty(fields, async (values) => {
      const names = values.map((_, i) => `f${i}`)
      const { gives } = await run({ delimiter: '\\t', names }, [values.join('\t')])
      expect(Object.values(gives[0] as object)).toEqual(values)
      expect((await run({ delimiter: '\\t', names: [...names, 'more'] }, [values.join('\t')])).failures).toHaveLength(1)
    }),
  )
})

test('numbers as devices write them, and nothing else', async () => {
  const read = (type: string, text: string) =>
    run({ delimiter: ';', names: ['n'], types: { n: type } }, [text]).then(
      ({ gives }) => (gives[0] as { n: unknown })?.n,
    )
  for (const [text, value] of [
    ['+   012.50', 12.5],
    ['-0', 0],
    [' .5 ', 0.5],
    ['1e3', 1000],
    ['7.', 7],
  ]) {
    expect(await read('number', text as string)).toBe(value)
  }
  for (const text of ['', ' ', '1,5', '0x10', '1e999', 'Infinity', '--1', '1 2']) {
    expect(await read('number', text)).toBeUndefined()
  }
  expect(await read('integer', '- 0042')).toBe(-42)
  for (const text of ['1.0', '1e3', '9007199254740993']) expect(await read('integer', text)).toBeUndefined()
})

test('says what did not fit, and shows how it begins', async () => {
  const long = 'x'.repeat(50)
  expect((await run({ pattern: '^(?<a>\\d+)$' }, ['12', 'no\n', long, 7, null, Buffer.from('1')])).failures).toEqual([
    'parse: "no\\n" does not match the pattern',
    `parse: "${'x'.repeat(40)}…" does not match the pattern`,
    'parse: the value is no text',
    'parse: there is no text',
    'parse: these are bytes',
  ])
  expect((await run({ delimiter: ';', names: ['a', 'b'] }, ['1', '1;2;3'])).failures).toEqual([
    'parse: "1" has 1 field, and there are 2 names',
    'parse: "1;2;3" has 3 fields, and there are 2 names',
  ])
  expect((await run({ pattern: '(?<a>.*)', types: { a: 'number' } }, ['1,5'])).failures).toEqual([
    'parse: a is "1,5", which is no number',
  ])
})

test('a pattern that others need exponential time for needs none here', async () => {
  const { failures } = await run({ pattern: '^(?<a>(?:a+)+)$' }, [`${'a'.repeat(5000)}!`])
  expect(failures).toHaveLength(1)
})

test('the parts go beside a text, or into an object', async () => {
  expect((await run({ pattern: '(?<a>\\w)', into: 'read' }, ['x'])).gives).toEqual([{ value: 'x', read: { a: 'x' } }])
})

test.each([
  [{}, 'give pattern, or delimiter and names'],
  [{ pattern: '(?<a>.)', delimiter: ';' }, 'give pattern, or delimiter and names'],
  [{ delimiter: ';' }, 'names is missing: [id, kg], the names of the fields'],
  [{ delimiter: '\\q', names: ['a'] }, 'expected a text with the escapes \\r \\n \\t \\0 \\xHH and \\\\'],
  [{ pattern: '(?<a>.)', names: ['a'] }, 'names goes with delimiter; in a pattern the groups have names'],
  [{ delimiter: ';', names: ['a', 'a'] }, 'two fields have the name a'],
  [{ delimiter: ';', names: ['__proto__'] }, '__proto__ cannot be used as a name'],
  [{ pattern: '(.)' }, 'the pattern names nothing'],
  [{ pattern: '(?<a>[0-9)' }, 'missing closing ] at character 6: [0-9)'],
  [{ pattern: '(?<a>x)(?=y)' }, 'invalid or unsupported Perl syntax at character 8: (?='],
  [{ pattern: '(?<a>x)(?<a>x)' }, 'duplicate capture group name: a'],
  [{ pattern: '(?<kg>.)', types: { gk: 'number' } }, 'there is no gk'],
])('refuses %j', (options, message) => {
  expect(problem(options)).toMatchObject({ message })
})

test('hints say what to do', () => {
  expect(problem({ pattern: '(?<a>x)(?=y)' })).toMatchObject({
    params: { hint: 'RE2 has no look-around and no back references' },
  })
  expect(problem({ delimiter: ';', names: ['id', 'kg'], types: { kgs: 'number' } })).toMatchObject({
    path: ['types', 'kgs'],
    params: { hint: 'did you mean kg?' },
  })
})
