import { expect, test } from 'vitest'
import { createRegistry } from '../registry/builtins.ts'
import { afterReload, diffPlans, requireFreeAddresses } from './diff.ts'
import { configOfValue } from './loaded.ts'
import { type Plan, planConfig } from './plan.ts'

function planOf(config: unknown, env: NodeJS.ProcessEnv = {}): Plan {
  const { plan, problems } = planConfig(configOfValue(config, '/'), createRegistry(), env)
  expect(problems.filter(({ severity }) => severity === 'error')).toEqual([])
  return plan!
}

const changed = (before: unknown, next: unknown, env: NodeJS.ProcessEnv = {}) =>
  diffPlans(planOf(before), planOf(next, env)).changed

const listen = (entry: object) => ({ listen: { a: { port: 0, dataflow: ['stdout'], ...entry } } })

test('the same configuration, written anew, differs in nothing', () => {
  const config = () => ({
    listen: { a: { port: 1, framing: { 'length-prefix': { bytes: 2 } }, dataflow: 'shared' } },
    connect: { b: { host: 'h', port: 2, poll: { every: '1s', send: 'R' }, dataflow: [{ filter: 'msg > 1' }] } },
    dataflows: { shared: [{ route: [{ if: 'msg == "x"', dataflow: [{ reply: '${msg}' }] }] }] },
  })
  expect(diffPlans(planOf(config()), planOf(config()))).toEqual({
    added: [],
    removed: [],
    changed: [],
    unchanged: ['a', 'b'],
    restart: [],
  })
})

test.each<[string, object, object]>([
  ['an option of a step', { dataflow: [{ filter: 'msg > 1' }] }, { dataflow: [{ filter: 'msg > 2' }] }],
  ['the name of a step', { dataflow: ['stdout'] }, { dataflow: [{ log: 'x' }] }],
  ['what stands beside a step', { dataflow: ['stdout'] }, { dataflow: [{ stdout: {}, if: 'msg > 1' }] }],
  ['a limit', {}, { limits: { maxConnections: 5 } }],
  ['the framing', {}, { framing: 'raw' }],
  ['an option of the format', { format: 'text' }, { format: { text: 'latin1' } }],
  ['the port', { port: 1 }, { port: 2 }],
  ['a function', { dataflow: [() => 1] }, { dataflow: [() => 2] }],
])('an endpoint has changed when %s has', (_, before, next) => {
  expect(changed(listen(before), listen(next))).toEqual(['a'])
})

test('an endpoint has changed when a shared dataflow has, or a variable, and when it dials instead of listening', () => {
  const shared = (steps: unknown[]) => ({ ...listen({ dataflow: 's' }), dataflows: { s: steps } })
  expect(changed(shared(['stdout']), shared([{ log: 'x' }]))).toEqual(['a'])
  const variable = listen({ dataflow: [{ file: '${env.FILE:-x}' }] })
  expect(changed(variable, variable)).toEqual([])
  expect(changed(variable, variable, { FILE: 'y' })).toEqual(['a'])
  expect(changed(listen({}), { connect: { a: { host: 'h', port: 1, dataflow: ['stdout'] } } })).toEqual(['a'])
})

test('what is used at the start needs a restart, until it is as it was at the start', () => {
  const before = planOf(listen({}))
  const next = planOf({
    ...listen({ backlog: 9, noDelay: false }),
    admin: 1,
    log: { level: 'warn' },
    data: { dir: 'x' },
  })
  const restart = ['admin', 'log', 'data', 'listen.a.backlog', 'listen.a.noDelay']
  expect(diffPlans(before, next).restart).toEqual(restart)
  const running = afterReload(before, next)
  expect(diffPlans(running, next).restart).toEqual(restart)
  expect(diffPlans(running, before).restart).toEqual([])
})

test.each([
  [{ host: '127.0.0.1', port: 5 }, { port: 5 }],
  [
    { host: '0.0.0.0', port: 5 },
    { host: '127.0.0.1', port: 5 },
  ],
  [
    { host: '::', port: 5 },
    { host: '::', port: 5, ipv6Only: true },
  ],
])('addresses of which the system gives one only cannot be exchanged: %j and %j', (before, next) => {
  const exchange = () => requireFreeAddresses(planOf(listen(before)), planOf(listen(next)))
  expect(exchange).toThrow(/^a: .*:5 and .*:5, where a listens now, exclude each other$/)
})

test('addresses that stay, that move to another endpoint and that the system chooses are free', () => {
  const before = planOf({ listen: { a: { port: 5, dataflow: [] }, b: { port: 6, dataflow: [] } } })
  const next = planOf({
    listen: { b: { port: 5, dataflow: [] }, c: { port: 7, dataflow: [] }, d: { port: 0, dataflow: [] } },
  })
  expect(() => requireFreeAddresses(before, next)).not.toThrow()
})
