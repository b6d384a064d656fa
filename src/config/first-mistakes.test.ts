import { createPrivateKey } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { generate } from 'selfsigned'
import { afterAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { defineStep } from '../contracts/define.ts'
import { z } from '../contracts/schema.ts'
import { createRegistry } from '../registry/builtins.ts'
import { configOfValue } from './loaded.ts'
import { planConfig } from './plan.ts'
import { formatProblems } from './problems.ts'
import { createServerFromPlan } from './server.ts'
import { readYaml } from './yaml-source.ts'
import { quote } from './yaml-text.ts'

/** What somebody writes on the first day: each mistake is told once, and its cure is right. */

const baseDir = mkdtempSync(join(tmpdir(), 'sluice-first-'))
afterAll(() => rmSync(baseDir, { recursive: true }))
const [one, two] = await Promise.all([generate([]), generate([])])
const encryption = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'hunter2' } as const
const encrypted = createPrivateKey(one.private).export(encryption)
for (const [name, content] of Object.entries({
  'one.pem': one.cert,
  'one.key': one.private,
  'two.key': two.private,
  'text.pem': 'no certificate',
  'there.ts': 'export default (msg: unknown) => msg',
})) {
  writeFileSync(join(baseDir, name), content)
}

const plan = (text: string, registry = createRegistry()) =>
  planConfig(readYaml(text, 'sluice.yaml', baseDir), registry, {})

const listen = (rest: string) => `listen:\n  a: { port: 0, dataflow: [], ${rest} }\n`
const steps = (...lines: string[]) =>
  `listen:\n  a:\n    port: 0\n    dataflow:\n${lines.map((line) => `      - ${line}\n`).join('')}`

/** Configuration, the codes of all problems, and what message or hint must hold. */
const mistakes: readonly [text: string, codes: string, words: string][] = [
  [steps('reply: { raw: 06 }'), 'VALUE_INVALID', 'write "\\x06"\n'],
  [steps('reply: { raw: 0x06 }'), 'VALUE_INVALID', 'raw is 0x06'],
  [steps('reply: { raw: 6 }'), 'VALUE_INVALID', 'write "\\x06"\n'],
  [steps('reply: 06'), 'VALUE_INVALID', 'put it in quotes: "06"'],
  [listen('framing: { delimiter: 0x0d }'), 'VALUE_INVALID', 'write "\\x0d" or { hex: "0d" }'],
  [listen('framing: { delimiter: 13 }'), 'VALUE_INVALID', 'write "\\x0d" or { hex: "0d" }'],
  [listen('framing: { start-end: { start: 02, end: "\\x03" } }'), 'VALUE_INVALID', 'write "\\x02" or { hex: "02" }'],
  [listen('framing: { delimiter: { any: { hex: 02 } } }'), 'HEX_NOT_QUOTED', 'hex: "02"'],

  [steps('script: missing.ts'), 'VALUE_INVALID', 'the script missing.ts does not exist'],
  [
    listen('tls: { cert: one.pem, key: two.key }'),
    'TLS_FILE_INVALID',
    'two.key does not belong to the certificate in one.pem',
  ],
  [listen('tls: { cert: one.pem, key: two.key }'), 'TLS_FILE_INVALID', 'give the files of one pair'],
  [listen('tls: { cert: text.pem, key: one.key }'), 'TLS_FILE_INVALID', 'listen.a: text.pem holds no certificate'],
  [listen('tls: { cert: one.key, key: one.key }'), 'TLS_FILE_INVALID', 'it holds a private key'],
  [listen('tls: { cert: one.pem, key: one.pem }'), 'TLS_FILE_INVALID', 'it holds a certificate'],
  [
    'connect: { a: { host: h, port: 1, dataflow: [], tls: { cert: one.pem } } }',
    'KEY_MISSING',
    'cert is of no use without key',
  ],
  [
    'connect: { a: { host: h, port: 1, dataflow: [], poll: { every: 1s, send: "W\\r\\n" } } }',
    'VALUE_INVALID',
    'the framing line adds it',
  ],

  [listen('framing: { start-end: { start: STX, end: <ETX> } }'), 'BYTES_IN_LETTERS BYTES_IN_LETTERS', 'write "\\x02"'],
  [listen('framing: { delimiter: [ CRLF, "0x03" ] }'), 'BYTES_IN_LETTERS BYTES_IN_LETTERS', 'write "\\x0d\\x0a"'],
  [steps('reply: { raw: "<ACK>" }'), 'BYTES_IN_LETTERS', 'write "\\x06"'],
  [
    'connect: { a: { host: h, port: 1, dataflow: [], poll: { every: 1s, send: ENQ } } }',
    'BYTES_IN_LETTERS',
    'write "\\x05"',
  ],
  ['connect: { a: { host: h, port: 1, dataflow: [], poll: { every: 1s, send: SI } } }', '', ''],
  [steps('reply: "$msg.a {msg.b}"'), 'NOT_EVALUATED NOT_EVALUATED', 'write ${msg.a}'],
  [steps('reply: "$msg.a {msg.b}"'), 'NOT_EVALUATED NOT_EVALUATED', 'write ${msg.b}'],
  [steps('reply: "OK $client.id"'), 'NOT_EVALUATED', 'write ${client.id}'],
  [steps('reply: "5 $ ${msg.a} {a} ${\'{\' + msg.b}"'), '', ''],

  ['listen: { a: { port: "9100", dataflow: [] } }', 'VALUE_INVALID', 'write 9100, without quotes'],
  ['listen: { a: { port: nine, dataflow: [] } }', 'VALUE_INVALID', 'a whole number'],
  ['listen: { a: { port: 70000, dataflow: [] } }', 'VALUE_INVALID', '65535'],
  ['listen: { a: { prt: 9100, dataflow: [] } }', 'KEY_UNKNOWN', 'did you mean port?'],
  ['listen: { a: { port: "${env.NOPE}", dataflow: [] } }', 'REFERENCE_FAILED', 'NOPE'],
  ['connect: { a: { host: 5, port: 1, dataflow: [] } }', 'VALUE_INVALID', 'put it in quotes: "5"'],
  ['listen: { a: { port: 1, dataflow: { reply: x } } }', 'VALUE_INVALID', 'write a list: - reply: x'],
  ['listen: { a: { port: 1, dataflow: } }', 'VALUE_INVALID', 'dataflow is empty'],
  ['listen: { a: { port: 1, dataflow: 5 } }', 'VALUE_INVALID', 'a list of steps'],
  [steps('sqlite: { fil: a.db, table: t }'), 'KEY_UNKNOWN', 'did you mean file?'],

  [
    steps('filter: "msg.a == "x""', 'map: { a: max(1, 2), b: [1 }', 'filter: "msg.b == "y""'),
    'YAML_NEEDS_QUOTES YAML_NEEDS_QUOTES YAML_NEEDS_QUOTES',
    `write 'msg.b == "y"'`,
  ],
  [listen('onError: [ filter: "msg.a == "x"" ]'), 'YAML_NEEDS_QUOTES', `write 'msg.a == "x"'`],
  [steps(`reply: '\${msg.a == 'x' ? "a" : "b"}'`), 'YAML_NEEDS_QUOTES', `write "\${msg.a == 'x' ? 'a' : 'b'}"`],

  [
    steps('set: { count: 1 }'),
    'VALUE_INVALID',
    'set.count: only state.NAME and client.tags.NAME can be set\n    → write state.count',
  ],
  ['port: 9100\ndataflow: []', 'KEY_UNKNOWN KEY_UNKNOWN', 'write it under listen: { NAME: { port: … } }'],
  [
    'listen: { port: 9100, framing: line, dataflow: [] }',
    'VALUE_INVALID',
    'give the endpoint a name: listen: { NAME: { port: … } }',
  ],
  ['listen: [ { port: 9100 } ]', 'VALUE_INVALID', 'give the endpoint a name: { NAME: { … } }'],
  [steps('tcp: "127.0.0.1:9000"'), 'VALUE_INVALID', 'write { host: 127.0.0.1, port: 9000 }'],
  [steps('tcp: { host: h }'), 'KEY_MISSING', 'tcp needs port'],
  [steps('sqlite: readings.db'), 'VALUE_INVALID', 'write { file: readings.db, table: … }'],
  ['listen: { a: 9100 }', 'VALUE_INVALID', 'write { port: 9100 }'],
  [steps('sqlite: { path: a.db, table: t }'), 'KEY_UNKNOWN', 'did you mean file?'],
  [steps('file: { file: a.txt }'), 'KEY_UNKNOWN', 'did you mean path?'],
  [steps('route: [ { if: "true", then: [] } ]'), 'KEY_UNKNOWN', 'did you mean dataflow?'],
  [listen('framing: { length-prefix: { endian: BE } }'), 'VALUE_INVALID', 'did you mean big?'],
  [steps('console: x'), 'STEP_UNKNOWN', 'did you mean log or stdout?'],
  [steps('print: x'), 'STEP_UNKNOWN', 'did you mean log or stdout?'],
  [steps('rateLimit: { rate: 5/s }'), 'STEP_UNKNOWN', 'did you mean throttle?'],
  [steps('RATELIMIT: { rate: 5/s }'), 'STEP_UNKNOWN', 'did you mean throttle?'],
  [listen('framing: stxetx'), 'FRAMING_UNKNOWN', 'did you mean stx-etx?'],
  // A name that it is also called counts more than one that looks alike: modbus-tcp.
  [listen('framing: modbus-rtu'), 'FRAMING_UNKNOWN', 'did you mean gap?'],
  [steps('filter: yes'), 'EXPRESSION_INVALID', 'write true'],
  [steps('route: []'), 'VALUE_INVALID', 'route is empty'],
]

test.each(mistakes)('%s is %s: %s', (text, codes, words) => {
  const { problems } = plan(text)
  const shown = formatProblems(problems)
  expect(problems.map(({ code }) => code).join(' '), shown).toBe(codes)
  expect(shown).toContain(words)
  for (const { position } of problems) expect(position?.line).toBeGreaterThan(0)
})

test('a key with a passphrase needs it', () => {
  writeFileSync(join(baseDir, 'secret.key'), encrypted)
  expect(formatProblems(plan(listen('tls: { cert: one.pem, key: secret.key }')).problems)).toContain(
    'give its passphrase',
  )
  expect(plan(listen('tls: { cert: one.pem, key: secret.key, passphrase: hunter2 }')).problems).toEqual([])
})

test('the text of a key where its path belongs is shown nowhere', () => {
  const places = [
    listen('tls: { cert: one.pem, key: "${file:one.key}" }'),
    steps('postgres: { url: "postgres://u:p@db/x", table: t, tls: { cert: one.pem, key: "${file:one.key}" } }'),
    steps('nats: { servers: "nats://h", subject: s, creds: "${file:one.key}" }'),
  ]
  for (const text of places) {
    const { problems } = plan(text)
    const said = formatProblems(problems)
    expect(said).toContain('the text of a PEM file')
    expect(said).toContain('give the path of the file')
    expect(said).not.toContain('BEGIN')
    expect(problems).toHaveLength(1)
  }
})

test('a text in quotes means the same, whatever stands in it', () => {
  const text = fc.string({ unit: fc.constantFrom(...'\'"${} \\:#?ab,=') })
  fc.assert(
    fc.property(text, (value) => {
      const read: unknown = parse(quote(value))
      const alike = (written: unknown) => String(written).replaceAll('"', "'")
      expect(alike(read)).toBe(alike(value))
      if (!value.includes('${')) expect(read).toBe(value)
    }),
  )
})

test('a part of your own looks at its options when a configuration is planned, and has other names', () => {
  const definition = defineStep({
    name: 'mine',
    alsoCalled: ['own'],
    summary: 'Mine.',
    options: z.strictObject({ file: z.string(), n: z.int().default(1) }),
    examples: [],
    check: ({ file }, { resolvePath }) =>
      file === 'bad' ? [{ path: ['file'], message: `${resolvePath(file)} is bad`, hint: 'write good' }] : [],
    create: () => ({}),
  })
  const registry = createRegistry().add(definition)
  expect(plan(steps('mine: { file: good }'), registry).problems).toEqual([])
  expect(plan(steps('mine: { file: bad }'), registry).problems).toMatchObject([
    {
      code: 'VALUE_INVALID',
      position: { line: 5, column: 23 },
      message: `${join(baseDir, 'bad')} is bad`,
      hint: 'write good',
    },
  ])
  // What is wrong already is not looked at.
  expect(plan(steps('mine: { file: bad, n: x }'), registry).problems).toHaveLength(1)
  expect(formatProblems(plan(steps('own: {}'), registry).problems)).toContain('did you mean mine?')
})

test('what cannot be created says where it stands', async () => {
  writeFileSync(join(baseDir, 'notes.db'), 'this is no database, and never was one, whatever its name may say')
  const { plan: planned } = plan(steps('filter: "true"', 'sqlite: { file: notes.db, table: t }'))
  await expect(createServerFromPlan(planned!).start()).rejects.toThrow(
    /^sluice\.yaml:6: listen\.a\.dataflow\[1\] \(sqlite\): /,
  )
  const value = { listen: { a: { port: 0, dataflow: [{ sqlite: { file: 'notes.db', table: 't' } }] } } }
  const { plan: fromProgram } = planConfig(configOfValue(value, baseDir), createRegistry(), {})
  await expect(createServerFromPlan(fromProgram!).start()).rejects.toThrow(/^listen\.a\.dataflow\[0\] \(sqlite\): /)
})
