import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { configOfValue } from '../config/loaded.ts'
import { type Plan, planConfig } from '../config/plan.ts'
import { readPlan } from '../config/read-plan.ts'
import { createRegistry } from '../registry/builtins.ts'
import { caseSchema } from './case-schema.ts'
import { rehearseConnect, runCase } from './run-case.ts'

let folder: string
let plan: Plan
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-case-'))
  const file = join(folder, 'sluice.yaml')
  writeFileSync(
    file,
    `listen:
  stored: { port: 0, format: json, dataflow: [ stdout: {}, reply: "\${msg.a}" ] }
  plain: { port: 0, proxyProtocol: { trust: 10.0.0.5 }, dataflow: [ reply: "\${msg}" ] }
  front:
    port: 7000
    relay:
      to: "10.0.0.5:7000"
      inspect: inline
      toServer: [ { filter: '!msg.startsWith("DELETE")' }, stdout: {} ]
  compared:
    port: 7001
    relay:
      to: "10.0.0.5:7000"
      sendProxy: v1
      health: { check: connect }
      mirror: { to: "10.0.0.6:7000", tls: {}, compare: [ { filter: "!msg.equal" }, { stdout: {} } ] }
subscribe:
  asked:
    nats: { servers: "nowhere:1", subject: "a.>", jetstream: false }
    format: json
    dataflow: [ stdout: {}, reply: "\${topic} \${msg.a}" ]
`,
  )
  plan = (await readPlan(file, {})).plan!
})
afterAll(() => rmSync(folder, { recursive: true }))

/** What is said of a case that fails; undefined when it passes. */
function problemOf(given: object): Promise<string | undefined> {
  const one = caseSchema.parse({ name: 'x', endpoint: 'stored', sends: '{"a":1}\\n', split: false, ...given })
  return runCase(plan, one).then(
    () => undefined,
    (error: Error) => error.message,
  )
}

test('a case that comes out as it says passes', async () => {
  expect(await problemOf({ replies: '1\\n', sinks: { stdout: [{ a: 1 }] }, split: true })).toBeUndefined()
})

test('what came instead is one line', async () => {
  const here = 'sent in one piece: '
  expect(await problemOf({ replies: '2\\n' })).toBe(`${here}replies: expected "2\\n", "1\\n" came`)
  expect(await problemOf({ sinks: { stdout: [] } })).toBe(`${here}sink stdout: expected [], it got [{"a":1}]`)
  expect(await problemOf({ sinks: { file: [] } })).toMatch(/there is no sink "file"; there are stdout/)
  expect(await problemOf({ endpoint: 'plain', sinks: { file: [] } })).toBe(
    `${here}there is no sink "file"; there are none`,
  )
  expect(await problemOf({ failing: { stdot: 'full' } })).toMatch(/there is no sink "stdot"; there are stdout/)
})

test('a relay is tried with a server that is played behind it', async () => {
  const given = { endpoint: 'front', sends: 'GET 1\\nDELETE 1\\nGET 2\\n', serverSends: 'one\\ntwo', split: true }
  const passes = {
    ...given,
    serverGets: 'GET 1\\nGET 2\\n',
    replies: 'one\\ntwo',
    sinks: { stdout: ['GET 1', 'GET 2'] },
  }
  expect(await problemOf(passes)).toBeUndefined()
  expect(await problemOf({ ...given, serverGets: 'DELETE 1\\n' })).toBe(
    'sent in one piece: what the server got: expected "DELETE 1\\n", "GET 1\\nGET 2\\n" came',
  )
  expect(await problemOf({ endpoint: 'plain', serverGets: '' })).toBe(
    'plain is no relay, so there is no server behind it: take serverSends and serverGets away',
  )
})

test('the mirror of a relay is played too, and what both answer is compared', async () => {
  const given = { endpoint: 'compared', sends: 'x\\n', serverGets: 'x\\n', serverSends: '1\\n2\\n', split: true }
  const different = { server: '2', mirror: 'two', equal: false, request: 'x' }
  const passes = { ...given, mirrorSends: '1\\ntwo\\n', replies: '1\\n2\\n', sinks: { stdout: [different] } }
  expect(await problemOf(passes)).toBeUndefined()
  expect(await problemOf({ ...passes, mirrorSends: '1\\n2\\n' })).toMatch(/^sent in one piece: sink stdout: expected/)
  expect(await problemOf({ endpoint: 'front', mirrorSends: '' })).toBe(
    'front has no mirror, so there is no second server: take mirrorSends away',
  )
})

test('dead letters that nobody expected come with the line that expects them', async () => {
  expect(await problemOf({ sends: 'x\\n' })).toMatch(
    /^sent in one piece: dead letters: 0 expected, 1 came: \[\{"code":"format_invalid","raw":"x",.+\}\]; if they should come, write deadLetters: \[\{ code: format_invalid \}\]$/,
  )
  expect(await problemOf({ sends: 'x\\n', deadLetters: [{ code: 'format_invalid' }] })).toBeUndefined()
  expect(await problemOf({ sends: 'x\\n', deadLetters: [{ code: 'sink_failed' }] })).toBe(
    'sent in one piece: code of dead letter 1: expected "sink_failed", "format_invalid" came',
  )
})

test('a dataflow that also runs on connect is rehearsed with a null msg', async () => {
  const planOfSteps = (dataflow: unknown[]) => {
    const listen = { a: { port: 9100, format: 'json', runOnConnect: true, dataflow } }
    return planConfig(configOfValue({ listen }, '.'), createRegistry(), {}).plan!
  }
  const map = { map: { f: 'msg.temp * 2' } }
  expect(await rehearseConnect(planOfSteps([map, { file: 'x' }]), 'a')).toEqual([
    'listen.a.dataflow[0]: msg.temp is missing',
  ])
  expect(await rehearseConnect(planOfSteps([{ ...map, if: 'event == "message"' }, { file: 'x' }]), 'a')).toEqual([])
  // Code of the user's own is not run by a check.
  const ran: unknown[] = []
  expect(await rehearseConnect(planOfSteps([(msg: unknown) => ran.push(msg)]), 'a')).toEqual([])
  expect(ran).toEqual([])
})

test('a subscription gets what is sent as one message, and no broker is asked', async () => {
  const asked = { endpoint: 'asked', sends: '{"a":1}', topic: 'a.b' }
  expect(await problemOf({ ...asked, replies: 'a.b 1', sinks: { stdout: [{ a: 1 }] }, split: true })).toBeUndefined()
  expect(await problemOf({ ...asked, replies: 'a.b 2' })).toBe(
    'sent in one piece: replies: expected "a.b 2", "a.b 1" came',
  )
  expect(await problemOf({ ...asked, sends: '{', deadLetters: [{ code: 'format_invalid', raw: '{' }] })).toBeUndefined()
})
