import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import {
  bytes,
  dataflow,
  duration,
  expr,
  framingOption,
  pathTemplate,
  secret,
  size,
  template,
  z,
} from '../contracts/schema.ts'
import { substitute } from './environment.ts'
import { configOfValue } from './loaded.ts'
import { Report } from './report.ts'

const baseDir = mkdtempSync(join(tmpdir(), 'sluice-environment-'))
writeFileSync(join(baseDir, 'secret'), 'hunter2\n')
afterAll(() => rmSync(baseDir, { recursive: true }))

const schema = z.strictObject({
  text: z.string(),
  port: z.int().optional(),
  on: z.boolean().prefault(false),
  either: z.union([z.int(), z.strictObject({ port: z.int() })]),
  wait: duration().prefault('1s'),
  room: size(),
  end: bytes(),
  list: z.array(z.int()),
  named: z.record(z.string(), z.int()),
  password: secret().optional(),
  answer: template(),
  path: pathTemplate().optional(),
  value: expr(),
  steps: dataflow(),
  framing: framingOption(),
})

function run(value: Record<string, unknown>, env: Record<string, string> = {}) {
  const report = new Report(configOfValue(value, baseDir))
  const result = substitute(value, schema, [], { env, baseDir }, report) as Record<string, unknown>
  return { result, problems: report.finish(), secrets: [...report.secrets] }
}

test('a reference takes the type of its option', () => {
  const env = { N: '7', T: 'true', D: '5s', S: '64KiB', C: '|' }
  const { result, problems } = run(
    {
      text: '${env.N} of ${env.N}',
      port: '${env.N}',
      on: '${env.T}',
      either: { port: '${env.N}' },
      wait: '${env.D}',
      room: '${env.S}',
      end: '${env.C}',
      list: ['${env.N}', 2],
      named: { a: '${env.N}' },
    },
    env,
  )
  expect(problems).toEqual([])
  expect(result).toEqual({
    text: '7 of 7',
    port: 7,
    on: true,
    either: { port: 7 },
    wait: '5s',
    room: '64KiB',
    end: '|',
    list: [7, 2],
    named: { a: 7 },
  })
})

test('a default stands in for a variable that is absent or empty', () => {
  expect(run({ text: '${env.A:-x}${env.B:-}${env.C:-y}' }, { C: '' }).result).toEqual({ text: 'xy' })
  expect(run({ text: '${env.C}' }, { C: '' }).result).toEqual({ text: '' })
})

test('a file gives its text without the last line end', () => {
  expect(run({ text: '${file:secret}' }).result).toEqual({ text: 'hunter2' })
  expect(run({ text: `\${file:${join(baseDir, 'secret')}}` }).result).toEqual({ text: 'hunter2' })
})

test('templates, expressions and dataflows are left alone, and so are the options of a framing', () => {
  const value = {
    answer: 'a ${env.N}',
    value: '"${env.N}"',
    steps: [{ reply: '${env.N}' }],
    framing: { delimiter: '${env.N}' },
  }
  expect(run(value)).toEqual({ result: value, problems: [], secrets: [] })
})

test('$${ is the characters ${', () => {
  expect(run({ text: 'a $${env.N}' }).result).toEqual({ text: 'a ${env.N}' })
})

test.each([
  ['${env.NOPE}', 'REFERENCE_FAILED', 'set NOPE, or give a default'],
  ['${file:nope}', 'REFERENCE_FAILED', 'looked for'],
  ['${msg.id}', 'TEMPLATE_NOT_ALLOWED', '${env.NAME}'],
  ['${env.N', 'REFERENCE_FAILED', 'write }'],
])('%s is %s', (text, code, hint) => {
  const { problems } = run({ text })
  expect(problems).toMatchObject([{ code, path: ['text'], hint: expect.stringContaining(hint) }])
})

test('what a secret option holds is known as secret, wherever it came from', () => {
  expect(run({ password: '${file:secret}' }).secrets).toEqual(['hunter2'])
  expect(run({ password: 'literal' }).secrets).toEqual(['literal'])
  expect(run({ text: '${file:secret}' }).secrets).toEqual([])
})

test('in a path that is a template both are done: these are put in now, and the others are left for each message', () => {
  const env = { LOGS: '/var/${x}', A: 'a' }
  const path = '${env.LOGS}/${env.NONE:-b}/${file:secret}/${msg.device}/${env.A + msg.x}/$${y}.log'
  const { result, problems } = run({ path }, env)
  expect(problems).toEqual([])
  expect(result.path).toBe('/var/$${x}/b/hunter2/${msg.device}/${env.A + msg.x}/$${y}.log')
  expect(run({ path: '${env.NONE}/x' }).problems.map(({ message }) => message)).toEqual([
    '${env.NONE} in path is not set in the environment',
  ])
})
