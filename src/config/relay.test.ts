import { describe, expect, it } from 'vitest'
import { createRegistry } from '../registry/builtins.ts'
import { configOfValue } from './loaded.ts'
import { planConfig } from './plan.ts'
import { describePlan } from './promise.ts'

const planOf = (front: object) =>
  planConfig(configOfValue({ listen: { front: { port: 7000, ...front } } }, '/srv'), createRegistry(), {})

describe('the plan of a relay', () => {
  it('knows hosts, IPv6 addresses and Unix sockets, whose paths begin at the folder of the configuration', () => {
    const { plan } = planOf({ relay: { to: ['old.local:80', '[::1]:81', './app.sock', '/run/app.sock'] } })
    const [endpoint] = plan!.endpoints
    const targets = endpoint?.kind === 'listen' ? endpoint.relay!.targets : []
    expect(targets.map(({ dial: { host, port, path }, servername }) => [host ?? path, port, servername])).toEqual([
      ['old.local', 80, 'old.local'],
      ['::1', 81, undefined],
      ['/srv/app.sock', undefined, undefined],
      ['/run/app.sock', undefined, undefined],
    ])
  })

  it('says in words what it does', () => {
    const { plan } = planOf({ relay: { to: ['a:1', 'b:2'], inspect: 'inline', toServer: [{ filter: 'msg != ""' }] } })
    const lines = describePlan(plan!)
    expect(lines[0]).toBe('front: listens on port 7000 of all addresses')
    expect(lines).toContain(
      '  connects each client to a:1 or b:2, each in turn; one that cannot be reached is left out for a while',
    )
    expect(lines).toContain('  but where there is a dataflow, only what it lets through is passed on')
  })

  it.each<[string, object, string]>([
    ['onError where nothing is inspected', { relay: { to: 'a:1' }, onError: [{ log: 'x' }] }, 'VALUE_INVALID'],
    [
      'a step that holds messages inline',
      { relay: { to: 'a:1', inspect: 'inline', toServer: [{ window: { count: 3, values: { n: 'count' } } }] } },
      'STEP_MISPLACED',
    ],
  ])('has no place for %s', (_, front, code) => {
    const { plan, problems } = planOf(front)
    expect(plan).toBeUndefined()
    expect(problems.map((problem) => problem.code)).toContain(code)
  })

  it('takes onError where messages may fail', () => {
    const { problems } = planOf({
      relay: { to: 'a:1', inspect: 'copy', toServer: [{ log: '${msg}' }] },
      onError: [{ log: 'x' }],
    })
    expect(problems).toEqual([])
  })
})
