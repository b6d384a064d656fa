import { describe, expect, it } from 'vitest'
import { createRegistry } from '../registry/builtins.ts'
import { configOfValue } from './loaded.ts'
import { planConfig } from './plan.ts'
import { formatPath } from './problems.ts'
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

  it('says in words what becomes of the answers of a mirror, and how it looks after servers', () => {
    const mirror = { to: 'new:1', compare: [{ file: 'd.log' }], key: 'msg.id' }
    const { plan, problems } = planOf({
      format: 'json',
      relay: { to: 'old:1', health: { check: 'connect' }, sendProxy: 'v1', mirror },
      onError: [{ log: 'x' }],
    })
    expect(problems).toEqual([])
    const lines = describePlan(plan!)
    for (const line of [
      '  sees every 5s whether each takes a connection',
      '  tells it who the client is (PROXY protocol v1)',
      '  framing line, format json',
      '  sends a copy of what clients send to new:1, whose answers reach no client',
      '  for each two answers that belong together (by msg.id; without the other one after 10s):',
    ])
      expect(lines).toContain(line)
    expect(lines.join('\n')).toContain('delivers to file d.log')
  })

  it('is another one when its mirror is', () => {
    const writtenOf = (to: string) => planOf({ relay: { to: 'old:1', mirror: { to } } }).plan!.endpoints[0]!.written
    expect(writtenOf('new:1')).toEqual(writtenOf('new:1'))
    expect(writtenOf('new:1')).not.toEqual(writtenOf('new:2'))
  })

  it.each<[string, object, string, string]>([
    [
      'a mirror of what is not passed on as it came',
      { inspect: 'inline', toServer: [{ filter: 'true' }], mirror: { to: 'b:1' } },
      'listen.front.relay.mirror',
      'a mirror gets what clients send, and with inspect: inline that is not what the server gets',
    ],
    [
      'a key where nothing is compared',
      { mirror: { to: 'b:1', key: 'msg.id' } },
      'listen.front.relay.mirror.key',
      'mirror.key does nothing, because no answers are compared',
    ],
    [
      'a timeout where nothing is compared',
      { mirror: { to: 'b:1', timeout: '1s' } },
      'listen.front.relay.mirror.timeout',
      'mirror.timeout does nothing, because no answers are compared',
    ],
    [
      'an answer',
      { mirror: { to: 'b:1', compare: [{ reply: 'x' }] } },
      'listen.front.relay.mirror.compare[0].reply',
      'reply speaks to the sender, and in a relay the other side does that',
    ],
    [
      'a port that does not exist',
      { mirror: { to: 'b:0' } },
      'listen.front.relay.mirror.to',
      'b:0 has no port that exists',
    ],
    [
      'a time between looks that nobody takes',
      { health: { every: '1s' } },
      'listen.front.relay.health.every',
      'health.every does nothing, because health.check is off',
    ],
  ])('has no place for %s', (_, relay, path, message) => {
    const { plan, problems } = planOf({ relay: { to: 'a:1', ...relay } })
    expect(plan).toBeUndefined()
    expect(problems.map((problem) => [formatPath(problem.path), problem.message])).toEqual([[path, message]])
  })

  it.each([
    [{}, '127.0.0.1:7000', true],
    [{}, '[::1]:7000', true],
    [{}, 'localhost:7001', false],
    [{ host: ['10.0.0.1', '10.0.0.2'] }, '10.0.0.2:7000', true],
    // Behind the port of another address may be the server.
    [{ host: '10.0.0.1' }, '127.0.0.1:7000', false],
    [{}, 'old.local:7000', false],
  ])('on %j does not lead to itself at %s: %s', (listened, to, isItself) => {
    const planned = [{ to }, { to: 'old.local:1', mirror: { to } }].map((relay) => planOf({ ...listened, relay }))
    for (const { problems } of planned)
      expect(problems.map(({ message }) => message)).toEqual(isItself ? [expect.stringContaining('itself')] : [])
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
