import { describe, expect, it } from 'vitest'
import { createRegistry } from '../registry/builtins.ts'
import { configOfValue } from './loaded.ts'
import { planConfig } from './plan.ts'
import { formatPath } from './problems.ts'
import { describePlan } from './promise.ts'

function planOf(back: object) {
  const value = { listen: { back: { dataflow: [{ log: '${msg}' }], ...back } } }
  const { plan, problems } = planConfig(configOfValue(value, '/srv'), createRegistry(), {})
  return {
    plan,
    problems: problems.map(({ code, severity, path, message }) => [code, severity, formatPath(path), message]),
  }
}

describe('proxyProtocol', () => {
  it.each([
    [undefined, ''],
    [{ trust: '10.0.0.5' }, ', with PROXY headers from 10.0.0.5'],
    [{ trust: ['10.0.0.5', '2001:db8::/32'] }, ', with PROXY headers from 10.0.0.5 and 2001:db8::/32'],
  ])('%j is said in words', (proxyProtocol, words) => {
    const { plan, problems } = planOf({ port: 9100, proxyProtocol })
    expect(problems).toEqual([])
    expect(describePlan(plan!)[0]).toBe(`back: listens on port 9100 of all addresses${words}`)
  })

  it('needs no trust on a Unix socket, and may have none there', () => {
    const { plan, problems } = planOf({ socket: '/run/back.sock', proxyProtocol: {} })
    expect(problems).toEqual([])
    expect(describePlan(plan!)[0]).toBe('back: listens on /run/back.sock, with PROXY headers')
    expect(planOf({ socket: '/run/back.sock', proxyProtocol: { trust: '10.0.0.5' } }).problems).toEqual([
      [
        'VALUE_INVALID',
        'error',
        'listen.back.proxyProtocol.trust',
        'a Unix socket has no addresses to trust: the permissions of its file say who can connect',
      ],
    ])
  })

  it.each([
    [{}, 'listen.back.proxyProtocol', 'nobody, so every connection is refused'],
    [{ trust: [] }, 'listen.back.proxyProtocol', 'nobody, so every connection is refused'],
    [
      { trust: ['10.0.0.5', '0.0.0.0/0'] },
      'listen.back.proxyProtocol.trust',
      'everybody, so anyone can claim any address',
    ],
    [{ trust: '::/0' }, 'listen.back.proxyProtocol.trust', 'everybody, so anyone can claim any address'],
  ])('%j is warned of', (proxyProtocol, path, message) => {
    const { plan, problems } = planOf({ port: 9100, proxyProtocol })
    expect(problems).toEqual([
      ['TRUST_MISSING', 'warning', path, `listen.back believes the PROXY headers of ${message}`],
    ])
    expect(plan).toBeDefined()
  })

  it('says of an address what is expected', () => {
    const { problems } = planOf({ port: 9100, proxyProtocol: { trust: ['balancer.local'] } })
    expect(problems).toEqual([
      [
        'VALUE_INVALID',
        'error',
        'listen.back.proxyProtocol.trust[0]',
        'listen.back.proxyProtocol.trust[0] is "balancer.local"',
      ],
    ])
  })
})
