import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support/server.ts'
import { createServer, defineStep, endpointName, z } from '../index.ts'
import { createRegistry } from '../registry/builtins.ts'
import { planConfig } from './plan.ts'
import { describePlan } from './promise.ts'
import { readPlan } from './read-plan.ts'
import { readYaml } from './yaml-source.ts'

/** Code, line:column, message and hint of each error. */
const problemsOf = (text: string, env = {}, registry = createRegistry()) =>
  planConfig(readYaml(text, 'sluice.yaml', '.'), registry, env)
    .problems.filter(({ severity }) => severity === 'error')
    .map(({ code, position, message, hint }) => `${code} ${position?.line}:${position?.column}: ${message} → ${hint}`)

/** Two endpoints, and the steps of the first. */
const config = (steps: string, more = '') =>
  `listen:\n  scales: { port: 1, dataflow: ${steps} }\n  displays: { port: 2, dataflow: [ log: x ] }\n${more}`

const unknown = 'ENDPOINT_UNKNOWN 2:58: there is no endpoint dispalys → did you mean displays?'

describe('the name of an endpoint', () => {
  test('must be that of one', () => {
    expect(problemsOf(config('[ send: { to: { endpoint: dispalys }, text: x } ]'))).toEqual([unknown])
    expect(problemsOf(config('[ request: { to: { endpoint: dispalys }, text: x } ]'))).toEqual([
      unknown.replace('2:58', '2:61'),
    ])
    expect(problemsOf(config('[ send: { to: { endpoint: "${env.TO}" }, text: x } ]'), { TO: 'dispalys' })).toEqual([
      unknown,
    ])
  })

  test('is listed where none looks like it', () => {
    expect(problemsOf(config('[ send: { to: { endpoint: plc }, text: x } ]'))).toEqual([
      'ENDPOINT_UNKNOWN 2:58: there is no endpoint plc → there are scales, displays',
    ])
  })

  test.each([
    ['subscribe', 'subscribe: { tick: { redis: { host: h, channel: c }, dataflow: [ log: x ] } }'],
    ['schedule', 'schedule: { tick: { every: 1s, dataflow: [ log: x ] } }'],
  ])('is not that of one under %s, which has no clients', (section, more) => {
    expect(problemsOf(config('[ send: { to: { endpoint: tick }, text: x } ]', more))).toContain(
      `ENDPOINT_UNKNOWN 2:58: tick stands under ${section}, and has no clients → there are scales, displays`,
    )
  })

  test('may be that of any with clients, also of its own, of one with mistakes, and in a shared dataflow', () => {
    const more =
      'connect: { plc: { hosts: { a: "h:1" }, dataflow: [ dataflow: tell ] } }\nschedule: { tick: { every: 1s, dataflow: tell } }\n' +
      'dataflows: { tell: [ { send: { to: { endpoint: displays }, text: x } }, { send: { to: { endpoint: plc }, text: x } } ] }'
    expect(problemsOf(config('[ send: { to: { endpoint: scales }, text: x } ]', more))).toEqual([])
    const mistaken = 'connect: { plc: 5 }'
    expect(problemsOf(config('[ send: { to: { endpoint: plc }, text: x } ]', mistaken))).toHaveLength(1)
    expect(
      problemsOf(
        'lsten: { a: { port: 1 } }\nschedule: { t: { every: 1s, dataflow: [ send: { to: { endpoint: a }, text: x } ] } }',
      ),
    ).toHaveLength(1)
  })

  test('may be that of one in another file', async () => {
    using folder = temporaryFolder()
    const asks = (name: string) =>
      `schedule: { tick: { every: 1s, dataflow: [ send: { to: { endpoint: ${name} }, text: x } ] } }`
    await writeFile(join(folder.path, 'a.yaml'), asks('displays'))
    await writeFile(join(folder.path, 'b.yaml'), asks('dispalys'))
    await writeFile(join(folder.path, 'displays.yaml'), 'listen: { displays: { port: 1, dataflow: [ log: x ] } }')
    const said = async (name: string) => {
      const file = join(folder.path, 'sluice.yaml')
      await writeFile(file, `include: [ ${name}, displays.yaml ]`)
      return (await readPlan(file, {})).problems.map(
        ({ position, message }) => `${position?.line}:${position?.column} ${message}`,
      )
    }
    expect(await said('a.yaml')).toEqual([])
    expect(await said('b.yaml')).toEqual(['1:68 there is no endpoint dispalys'])
  })

  test('is looked at in a program', () => {
    const create = (endpoint: string) =>
      createServer({
        listen: { a: { port: 0, dataflow: [{ send: { to: { endpoint }, text: 'x' } }] } },
        connect: { plc: { host: 'h', port: 1, dataflow: [] } },
      })
    expect(() => create('plc')).not.toThrow()
    expect(() => create('pcl')).toThrow(
      'listen.a.dataflow[0].send.to.endpoint  ENDPOINT_UNKNOWN  there is no endpoint pcl',
    )
  })

  test("is looked at in a step of one's own, which gets it as it is", () => {
    const registry = createRegistry()
    registry.add(
      defineStep({
        name: 'tell',
        summary: 'Tells an endpoint.',
        options: z.strictObject({ endpoint: endpointName().describe('Whom.') }),
        examples: [],
        promise: ({ endpoint }) => `tells ${endpoint}`,
        create: () => ({ run: (message) => message }),
      }),
    )
    const of = (text: string) => planConfig(readYaml(text, 'sluice.yaml', '.'), registry, {})
    expect(describePlan(of(config('[ tell: { endpoint: displays } ]')).plan!)).toContain('  tells displays')
    expect(problemsOf(config('[ tell: { endpoint: dispalys } ]'), {}, registry)).toEqual([
      unknown.replace('2:58', '2:52'),
    ])
  })
})
