import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { generate } from 'selfsigned'
import { afterAll, describe, expect, test } from 'vitest'
import { defineStep } from '../contracts/define.ts'
import type { Framing } from '../contracts/framing.ts'
import { dataflow, framingOption, secret, z } from '../contracts/schema.ts'
import { createRegistry } from '../registry/builtins.ts'
import { ByteWriter } from '../util/byte-writer.ts'
import { configOfValue } from './loaded.ts'
import { type ListenPlan, PlannedDataflow, planConfig } from './plan.ts'
import { formatPath, formatProblems, type MistakeCode } from './problems.ts'
import { readYaml } from './yaml-source.ts'

const baseDir = mkdtempSync(join(tmpdir(), 'sluice-plan-'))
const pair = await generate([{ name: 'commonName', value: 'localhost' }])
writeFileSync(join(baseDir, 'cert.pem'), pair.cert)
writeFileSync(join(baseDir, 'key.pem'), pair.private)
afterAll(() => rmSync(baseDir, { recursive: true }))

const planText = (text: string, env: Record<string, string> = {}, registry = createRegistry()) =>
  planConfig(readYaml(text, 'sluice.yaml', baseDir), registry, env)

const planValue = (value: unknown) => planConfig(configOfValue(value, baseDir), createRegistry(), {})

/** Code, path and line:column of each problem. */
const told = (text: string, env?: Record<string, string>) =>
  planText(text, env).problems.map(
    ({ code, path, position }) => `${code} ${formatPath(path)} ${position?.line}:${position?.column}`,
  )

test('what spans connections has to be told that each worker remembers for itself', () => {
  const config = (workers: number, options: string) =>
    `workers: ${workers}\nlisten:\n  a: { port: 1, key: msg, dataflow: d }\n  b: { port: 2, key: msg, dataflow: d }\ndataflows:\n  d: [ { dedupe: ${options}, id: once } ]`
  expect(told(config(2, '{ window: 1h }'))).toEqual(['SCOPE_MISSING dataflows.d[0].dedupe 6:10'])
  expect(told(config(2, '{ scope: worker }'))).toEqual([])
  expect(told(config(1, '{ window: 1h }'))).toEqual([])
  // One that dials has all its connections in one worker.
  const dialling = 'workers: 2\nconnect: { a: { host: h, port: 1, key: msg, dataflow: [ { dedupe: , id: once } ] } }'
  expect(told(dialling)).toEqual([])
})

describe('a configuration without mistakes', () => {
  test('four lines are enough, and every default is there', () => {
    const { plan, problems } = planText('listen:\n  echo:\n    port: 9100\n    dataflow: [ reply: "${msg}" ]\n')
    expect(problems).toEqual([])
    expect(plan).toMatchObject({ data: { dir: './sluice-data' }, admin: undefined, log: { level: 'info' }, baseDir })
    const [echo] = plan!.endpoints
    expect(echo).toMatchObject({
      kind: 'listen',
      name: 'echo',
      framingWords: { in: 'line', out: 'line' },
      formatWords: { in: 'text', out: 'text' },
      runOnConnect: false,
      tls: undefined,
      limits: {
        maxConnections: 10_000,
        maxFrameLength: 1024 ** 2,
        maxQueued: 256 * 1024,
        frameTimeout: 30_000,
        writeTimeout: 10_000,
        idleTimeout: 0,
        firstFrameTimeout: 0,
      },
    })
    expect((echo as ListenPlan).addresses).toEqual([
      { port: 9100, backlog: 1024, ipv6Only: false, socket: { keepAlive: 60_000, noDelay: true } },
    ])
    expect(echo!.dataflow).toMatchObject([{ id: 'listen.echo.dataflow[0]', name: 'reply', retry: { forMs: 0 } }])
  })

  test('siblings, short forms, and dataflows inside options', () => {
    const { plan, problems } = planText(`
listen:
  a:
    port: 0
    host: [ 127.0.0.1, "::1" ]
    framing: { in: { delimiter: "|" }, out: line }
    format: { in: json, out: text }
    dataflow:
      - filter: msg.temp > 30
        id: hot
        else: [ reply: SKIP ]
      - route:
          - if: msg.a
            dataflow: shared
          - else: [ close ]
      - sqlite: { file: a.db, table: t }
        if: msg.keep
        timeout: 2s
        retry: { for: 1m, max: 3 }
        onError: [ deadLetter: ]
dataflows:
  shared:
    - map: msg.x
`)
    expect(formatProblems(problems)).toBe('')
    const [a] = plan!.endpoints as [ListenPlan]
    expect(a.addresses.map(({ host }) => host)).toEqual(['127.0.0.1', '::1'])
    expect(a).toMatchObject({
      framingWords: { in: 'delimiter "|"', out: 'line' },
      formatWords: { in: 'json', out: 'text' },
    })
    const [filter, route, sqlite] = a.dataflow!
    expect(filter).toMatchObject({ id: 'hot', otherwise: [{ id: 'listen.a.dataflow[0].else[0]', name: 'reply' }] })
    const [one, other] = route!.options as { dataflow: unknown; else: unknown }[]
    expect(one!.dataflow).toBeInstanceOf(PlannedDataflow)
    expect((one!.dataflow as PlannedDataflow).steps).toMatchObject([
      { id: 'listen.a.dataflow[1].route[0].dataflow[0]', path: ['dataflows', 'shared', 0], name: 'map' },
    ])
    expect((other!.else as PlannedDataflow).steps).toMatchObject([{ name: 'close' }])
    expect(sqlite).toMatchObject({ timeout: 2000, retry: { forMs: 60_000, max: 3 }, onError: [{ name: 'deadLetter' }] })
    expect(sqlite!.condition!.source).toBe('msg.keep')
  })

  test('an outgoing connection that polls, over TLS', () => {
    const { plan, problems } = planText(
      `
connect:
  plc:
    host: plc.example
    port: \${env.PORT}
    poll: { every: 1s, send: "\\x02R" }
    tls: { insecure: true }
    dataflow: [ log: "\${msg}" ]
`,
      { PORT: '2112' },
    )
    expect(formatProblems(problems)).toBe('')
    expect(plan!.endpoints).toMatchObject([
      {
        kind: 'connect',
        devices: [{ dial: { host: 'plc.example', port: 2112, timeout: 10_000 }, servername: 'plc.example' }],
        reconnect: { first: 1000, max: 30_000 },
        poll: { every: 1000, timeout: 5000, bytes: Buffer.from('\x02R\n') },
        tls: { verify: false, handshakeTimeout: 5000, minVersion: 'TLSv1.2' },
      },
    ])
  })

  test('certificates are read, sockets are absolute, admin may be a port', () => {
    const { plan, problems } = planText(
      'listen: { a: { socket: a.sock, tls: { cert: cert.pem, key: key.pem }, dataflow: [] } }\nadmin: 8081',
    )
    expect(formatProblems(problems)).toBe('')
    expect(plan!.admin).toEqual({ host: '127.0.0.1', port: 8081 })
    expect(plan!.endpoints).toMatchObject([
      { addresses: [{ path: join(baseDir, 'a.sock') }], tls: { cert: pair.cert, key: pair.private } },
    ])
  })

  test('a function may be a step or an expression in a TypeScript configuration', () => {
    const double = (msg: number) => msg * 2
    const { plan } = planValue({ listen: { a: { port: 0, dataflow: [double, { map: double }, { filter: double }] } } })
    expect(plan!.endpoints[0]!.dataflow).toMatchObject([
      { name: 'function', id: 'listen.a.dataflow[0]' },
      { name: 'map', options: expect.any(Function) },
      { name: 'filter', options: expect.any(Function) },
    ])
  })

  test('a part of your own gets its framing built, its dataflow planned and its secret hidden', () => {
    const options = z.strictObject({ with: framingOption(), inner: dataflow(), token: secret(), n: z.int() })
    const definition = defineStep({ name: 'mine', summary: 'Mine.', options, examples: [], create: () => ({}) })
    const registry = createRegistry().add(definition)
    const step = 'mine: { with: { fixed: { length: 3 } }, inner: [ close ], token: "${env.T}", n: "${env.N}" }'
    const text = `listen:\n  a:\n    port: 0\n    dataflow:\n      - ${step}\n`
    const { plan, problems } = planText(text, { T: 'hunter2', N: '5' }, registry)
    expect(formatProblems(problems)).toBe('')
    const given = plan!.endpoints[0]!.dataflow![0]!.options as Record<string, unknown>
    expect(given).toMatchObject({ with: { createDecoder: expect.any(Function) }, token: 'hunter2', n: 5 })
    expect(given['inner']).toBeInstanceOf(PlannedDataflow)
    expect([...plan!.secrets]).toEqual(['hunter2'])
    const wrong = formatProblems(planText(text, { T: 'hunter2', N: 'hunter2' }, registry).problems)
    expect(wrong).toContain('n is "…"')
    expect(wrong).not.toContain('hunter2')
  })
})

/** What stands in a dataflow, its mistake, and what message, expectation and hint must hold between them. */
const stepMistakes: readonly [string, MistakeCode, string][] = [
  ['- filtre: msg.x', 'STEP_UNKNOWN', 'did you mean filter?'],
  ['- json', 'STEP_INVALID', 'write format: json at the endpoint'],
  ['- 5', 'STEP_INVALID', '- filter: msg.temp > 30'],
  ['- if: msg.x', 'STEP_INVALID', 'route'],
  ['- { map: msg.x, reply: OK }', 'STEP_INVALID', 'begin each with a dash'],
  ['- { map: msg.x, onErr: [] }', 'KEY_UNKNOWN', 'did you mean onError?'],
  ['- { sqlite: { file: a }, table: t }', 'KEY_UNKNOWN', 'write sqlite: { …, table: … }'],
  ['- { map: msg.x, else: [] }', 'KEY_UNKNOWN', 'use route'],
  ['- { map: msg.x, retry: { max: 1 } }', 'KEY_UNKNOWN', 'map is no sink'],
  ['- sqlite: { file: a.db }', 'KEY_MISSING', 'needs table'],
  ['- log: { text: x, level: warning }', 'VALUE_INVALID', 'did you mean warn?'],
  ['- { map: msg.x, timeout: 5 }', 'VALUE_INVALID', 'write 5s or 5ms'],
  ['- { map: msg.x, timeout: 5 sec }', 'VALUE_INVALID', 'write 5s'],
  ['- reply: 5', 'VALUE_INVALID', 'put it in quotes: "5"'],
  ['- reply: { text: a, raw: b }', 'VALUE_INVALID', 'only one of text and raw'],
  ['- filter:', 'VALUE_INVALID', 'filter is empty'],
  ['- map: { a: [] }', 'VALUE_INVALID', 'expected an expression'],
  ['- filter: msg.x and msg.y', 'EXPRESSION_INVALID', 'write &&'],
  ['- reply: "OK ${msg.x +}"', 'EXPRESSION_INVALID', ''],
  ['- dataflow: sharde', 'DATAFLOW_UNKNOWN', 'did you mean shared?'],
  ['- dataflow: loop', 'DATAFLOW_RECURSIVE', 'loop → again → loop'],
  ['- script: { file: "${msg.x}" }', 'TEMPLATE_NOT_ALLOWED', '${env.NAME}'],
]

test.each(stepMistakes)('%s is %s', (step, code, words) => {
  const { plan, problems } = planText(`
listen:
  a:
    port: 0
    dataflow:
      ${step}
dataflows:
  shared: [ close ]
  loop: [ dataflow: again ]
  again: [ dataflow: loop ]
`)
  expect(plan).toBeUndefined()
  const found = problems.filter((problem) => problem.position?.line === 6 || problem.code === 'DATAFLOW_RECURSIVE')
  expect(found.map((problem) => problem.code)).toContain(code)
  expect(formatProblems(found)).toContain(words)
})

/** An endpoint, its mistake, and where it is told. */
const endpointMistakes: readonly [string, MistakeCode, string, string][] = [
  ['{ dataflow: [] }', 'ADDRESS_MISSING', '1:11', 'port: 9100'],
  ['{ port: 1, socket: a, dataflow: [] }', 'ADDRESS_AMBIGUOUS', '1:25', 'keep one'],
  ['{ port: 1, framing: lines, dataflow: [] }', 'FRAMING_UNKNOWN', '1:34', 'did you mean line?'],
  ['{ port: 1, framing: json, dataflow: [] }', 'FRAMING_UNKNOWN', '1:34', 'write format: json'],
  ['{ port: 1, framing: { fixd: {} }, dataflow: [] }', 'FRAMING_UNKNOWN', '1:36', 'did you mean fixed?'],
  ['{ port: 1, framing: { fixed: {}, line: {} }, dataflow: [] }', 'FRAMING_INVALID', '1:25', 'fixed and line'],
  ['{ port: 1, framing: fixed, dataflow: [] }', 'KEY_MISSING', '1:34', 'needs length'],
  ['{ port: 1, framing: { in: line }, dataflow: [] }', 'FRAMING_INVALID', '1:25', 'give both'],
  ['{ port: "1", dataflow: [] }', 'VALUE_INVALID', '1:22', 'write 1, without quotes'],
  ['{ port: 70000, dataflow: [] }', 'VALUE_INVALID', '1:22', 'a whole number from 0 to 65535'],
  ['{ port: 1, runOnConnect: yes, dataflow: [] }', 'VALUE_INVALID', '1:39', 'write true'],
  ['{ port: 1, maxConnections: 5, dataflow: [] }', 'KEY_UNKNOWN', '1:25', 'limits: { maxConnections: … }'],
  ['{ port: 1, limits: { idleTimeout: 60 }, dataflow: [] }', 'VALUE_INVALID', '1:48', 'or off'],
  ['{ port: 1, dataflow: 5 }', 'VALUE_INVALID', '1:35', 'a list of steps'],
  ['{ port: 1 }', 'DATAFLOW_MISSING', '1:11', 'warning'],
  ['{ port: 1, tls: { cert: nope.pem, key: key.pem }, dataflow: [] }', 'REFERENCE_FAILED', '1:38', 'does not exist'],
  ['{ port: 1, framing: { delimiter: { any: { hex: 12 } } }, dataflow: [] }', 'HEX_NOT_QUOTED', '1:61', 'in quotes'],
  ['5', 'VALUE_INVALID', '1:14', 'a mapping'],
]

test.each(endpointMistakes)('an endpoint %s is %s', (endpoint, code, place, words) => {
  const { problems } = planText(`listen: { a: ${endpoint} }`)
  const problem = problems.find((one) => one.code === code)
  expect(problem, formatProblems(problems)).toBeDefined()
  expect(`${problem!.position!.line}:${problem!.position!.column}`).toBe(place)
  expect(formatProblems([problem!])).toContain(words)
})

test.each([
  ['', 'FILE_EMPTY  1:1'],
  ['- a', 'FILE_EMPTY  1:1'],
  ['version: 2\nlisten: {}', 'NO_ENDPOINT  1:1|VALUE_INVALID version 1:10'],
  ['workers: 0\nconnect: {}', 'NO_ENDPOINT  1:1|VALUE_INVALID workers 1:10'],
  ['listen: { 1a: { port: 1, dataflow: [] } }', 'VALUE_INVALID listen.1a 1:11'],
  [
    'listen: { a: { port: 1, dataflow: [] } }\nconnect: { a: { host: h, port: 1, dataflow: [] } }',
    'NAME_TAKEN connect.a 2:12',
  ],
  ['connect: { a: { port: 1, dataflow: [] } }', 'ADDRESS_MISSING connect.a 1:12'],
  ['listn: {}', 'KEY_UNKNOWN listn 1:1'],
  ['listen: { a: { port: 1, dataflow: [] } }\nadmin: { port: 1 }', 'ADDRESS_TAKEN admin.port 2:16'],
  [
    'listen: { a: { port: 1, dataflow: [] } }\ndataflows: { b: [ clos: ] }',
    'DATAFLOW_UNUSED dataflows.b 2:14|STEP_UNKNOWN dataflows.b[0].clos 2:19',
  ],
])('%j', (text, expected) => {
  expect(told(text).join('|')).toBe(expected)
})

test.each([
  ['127.0.0.1', '127.0.0.2', false],
  ['127.0.0.1', '127.0.0.1', true],
  ['127.0.0.1', 'localhost', true],
  ['0.0.0.0', '127.0.0.1', true],
  ['0.0.0.0', '::1', false],
  ['::', '127.0.0.1', true],
  ['::', '::1', true],
])('port 1 of %s and of %s: taken %s', (one, other, taken) => {
  const { problems } = planValue({
    listen: { a: { port: 1, host: one, dataflow: [] }, b: { port: 1, host: other, dataflow: [] } },
  })
  expect(problems.map(({ code }) => code)).toEqual(taken ? ['ADDRESS_TAKEN'] : [])
})

test('port 0 may stand anywhere', () => {
  expect(told('listen: { a: { port: 0, dataflow: [] }, b: { port: 0, dataflow: [] } }')).toEqual([])
})

test('an id stands once; a shared dataflow that is used twice is no second one', () => {
  const text = `
listen:
  a: { port: 1, dataflow: shared }
  b:
    port: 2
    dataflow:
      - dataflow: shared
      - { map: msg.x, id: one }
      - { map: msg.x, id: one }
dataflows:
  shared: [ { map: msg.y, id: two } ]
`
  expect(told(text)).toEqual(['ID_TAKEN listen.b.dataflow[2].id 9:27'])
})

test('nobody can be answered after a disconnect, in branches neither', () => {
  const text =
    'listen:\n  a:\n    port: 1\n    dataflow: []\n    onDisconnect:\n      - route: [ else: [ reply: x ] ]\n      - dataflow: bye\ndataflows:\n  bye:\n    - reply: BYE\n'
  expect(told(text)).toEqual([
    'NO_CONNECTION listen.a.onDisconnect[0].route[0].else[0].reply 6:26',
    'NO_CONNECTION dataflows.bye[0].reply 10:7',
  ])
})

test('one mistake does not hide the next, of whatever kind', () => {
  const text = `
listen:
  a:
    prt: 9100
    limits: { maxQueued: lots, idleTimeout: 3 }
    tls: { cert: 5 }
    dataflow:
      - nope: 1
      - filter: msg. > 3
        timeout: soon
        onError: [ replay: x ]
      - route: [ { if: "msg.x =", dataflow: [ clsoe: ] } ]
  b:
    framing: { fixed: { length: 0 } }
    dataflow: [ filter: "msg.y &" ]
`
  expect(told(text).map((line) => line.replace(/ \d+:\d+$/, ''))).toEqual([
    'KEY_UNKNOWN listen.a.prt',
    'VALUE_INVALID listen.a.limits.maxQueued',
    'VALUE_INVALID listen.a.limits.idleTimeout',
    'KEY_MISSING listen.a.tls.key',
    'VALUE_INVALID listen.a.tls.cert',
    'STEP_UNKNOWN listen.a.dataflow[0].nope',
    'EXPRESSION_INVALID listen.a.dataflow[1].filter',
    'VALUE_INVALID listen.a.dataflow[1].timeout',
    'STEP_UNKNOWN listen.a.dataflow[1].onError[0].replay',
    'EXPRESSION_INVALID listen.a.dataflow[2].route[0].if',
    'STEP_UNKNOWN listen.a.dataflow[2].route[0].dataflow[0].clsoe',
    'ADDRESS_MISSING listen.b',
    'VALUE_INVALID listen.b.framing.fixed.length',
    'EXPRESSION_INVALID listen.b.dataflow[0].filter',
  ])
})

test('a secret is not shown, whatever is wrong with it', () => {
  const options = z.strictObject({ community: secret() })
  const definition = defineStep({ name: 'mine', summary: 'Mine.', options, examples: [], create: () => ({}) })
  const registry = createRegistry().add(definition)
  for (const step of ['mine: { comunity: hunter22 }', 'mine: { community: 77446655 }', 'mine: { pwd: hunter22 }']) {
    const { problems } = planText(`listen:\n  a:\n    port: 0\n    dataflow:\n      - ${step}\n`, {}, registry)
    expect(problems.length).toBeGreaterThan(0)
    expect(formatProblems(problems)).not.toMatch(/hunter22|77446655/)
  }
})

test('an expression points at the character', () => {
  const [problem] = planText('listen: { a: { port: 1, dataflow: [ reply: "OK ${msg.x & 1}" ] } }').problems
  expect(problem).toMatchObject({ code: 'EXPRESSION_INVALID', position: { line: 1, column: 56 } })
})

test('no text, however broken, makes it throw', () => {
  const text = readFileSync(new URL('../../test/golden/ten-mistakes.yaml', import.meta.url), 'utf8')
  const registry = createRegistry()
  const damage = fc.record({
    at: fc.nat(text.length),
    remove: fc.nat(30),
    insert: fc.string({ unit: fc.constantFrom(...'{}[]\'":#!&*?|>-\n\t ${}a1,.%@`\\'), maxLength: 8 }),
  })
  fc.assert(
    fc.property(fc.array(damage, { minLength: 1, maxLength: 4 }), (all) => {
      let broken = text
      for (const { at, remove, insert } of all) broken = broken.slice(0, at) + insert + broken.slice(at + remove)
      const { plan, problems } = planText(broken, {}, registry)
      formatProblems(problems)
      expect(plan === undefined).toBe(problems.some(({ severity }) => severity === 'error'))
    }),
    { numRuns: 500 },
  )
})

test('the framing of a part may be one for each direction too', () => {
  const step = (framing: string) => `file: { path: out.txt, framing: ${framing} }`
  const { plan } = planText(`listen: { a: { port: 1, dataflow: [ ${step('{ in: { gap: 20ms }, out: line }')} ] } }`)
  const { framing } = plan!.endpoints[0]!.dataflow![0]!.options as { framing: Framing }
  const out = new ByteWriter()
  framing.encode('x', out)
  expect(out.take().toString()).toBe('x\n')
  expect(framing.createDecoder(9).silence).toBe(20)
  const { problems } = planText(`listen: { a: { port: 1, dataflow: [ ${step('{ in: lines, out: { fixed: x } }')} ] } }`)
  expect(problems.map(({ code }) => code)).toEqual(['FRAMING_UNKNOWN', 'VALUE_INVALID'])
})

describe('a disk buffer', () => {
  const dataflow = (step: string) => `listen:\n  a:\n    port: 9100\n    dataflow:\n      - ${step}\n`

  test('needs an id', () => {
    expect(told(dataflow('file: { path: x, buffer: disk }'))).toEqual([
      'ID_MISSING listen.a.dataflow[0].file.buffer 5:26',
    ])
    expect(told(dataflow('file: { path: x, buffer: { disk: { maxSize: 1GiB } } }'))).toHaveLength(1)
    expect(told(dataflow('{ file: { path: x, buffer: disk }, id: store }'))).toEqual([])
    expect(told(dataflow('file: { path: x, buffer: memory }'))).toEqual([])
  })

  test('takes what it is told, and has defaults for the rest', () => {
    const { plan } = planText(dataflow('{ file: { path: x, buffer: { disk: { maxAge: 7d } } }, id: store }'))
    expect(plan!.endpoints[0]!.dataflow![0]!.options).toMatchObject({
      buffer: { kind: 'disk', maxSize: 10 * 1024 ** 3, maxAge: 7 * 86_400_000, whenFull: 'wait' },
    })
  })

  test('that does not exist is told with what does', () => {
    const [problem] = planText(dataflow('file: { path: x, buffer: disc }')).problems
    expect(problem).toMatchObject({ code: 'VALUE_INVALID', path: ['listen', 'a', 'dataflow', 0, 'file', 'buffer'] })
  })
})

describe('dedupe', () => {
  const listen = (key: string, steps: string) =>
    `listen:\n  a:\n    port: 9100\n${key}    dataflow:\n${steps
      .split('\n')
      .map((line) => `      ${line}\n`)
      .join('')}`
  const key = '    key: msg\n'

  test('needs an id, and a key of the endpoint', () => {
    expect(told(listen(key, '- { dedupe: {}, id: once }'))).toEqual([])
    expect(told(listen(key, '- dedupe: {}'))).toEqual(['ID_MISSING listen.a.dataflow[0].dedupe 6:9'])
    expect(told(listen('', '- { dedupe: {}, id: once }'))).toEqual(['KEY_MISSING listen.a.dataflow[0].dedupe 5:11'])
  })

  test('stands in the dataflow of the endpoint itself, by whatever name that has', () => {
    const inside = '- route:\n    - if: msg == "x"\n      dataflow:\n        - { dedupe: {}, id: once }'
    expect(told(listen(key, inside))).toEqual(['STEP_MISPLACED listen.a.dataflow[0].route[0].dataflow[0].dedupe 9:19'])
    const shared = `dataflows:\n  once:\n    - { dedupe: {}, id: once }\n`
    expect(told(`${shared}listen:\n  a: { port: 9100, key: msg, dataflow: once }\n`)).toEqual([])
    expect(told(`${shared}listen:\n  a: { port: 9100, dataflow: once }\n`)).toEqual([
      'KEY_MISSING dataflows.once[0].dedupe 3:9',
    ])
    expect(told(`${shared}listen:\n  a: { port: 9100, key: msg, dataflow: [ { dataflow: once } ] }\n`)).toEqual([
      'STEP_MISPLACED dataflows.once[0].dedupe 3:9',
    ])
    const events = `${listen(key, '- reply: OK')}    onConnect:\n      - { dedupe: {}, id: once }\n`
    expect(told(events)).toEqual(['STEP_MISPLACED listen.a.onConnect[0].dedupe 8:11'])
  })

  test('takes nothing beside it that would apply to the steps behind it', () => {
    expect(told(listen(key, '- { dedupe: {}, id: once, timeout: 5s, else: [ log: again ] }'))).toEqual([
      'KEY_UNKNOWN listen.a.dataflow[0].timeout 6:33',
    ])
  })
})

test('the key of an endpoint is compiled, and a mistake in it has its place', () => {
  expect(told('listen:\n  a: { port: 9100, key: msgg.id, dataflow: [ reply: OK ] }\n')).toEqual([
    'EXPRESSION_INVALID listen.a.key 2:25',
  ])
})
