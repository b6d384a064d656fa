import { expect, it } from 'vitest'
import { configOfValue } from '../config/loaded.ts'
import { planConfig } from '../config/plan.ts'
import { createRegistry } from '../registry/builtins.ts'
import { hintsFor } from './hints.ts'

/** What is said of an endpoint on port 9100. */
function hintsOf(endpoint: object): string[] {
  const value = { listen: { back: { port: 9100, dataflow: [{ log: '${msg}' }], ...endpoint } } }
  const { plan } = planConfig(configOfValue(value, '/srv'), createRegistry(), {})
  return hintsFor(plan!, { address: () => ({ ip: '::', port: 9100 }) }, undefined)
}

it('tells how to speak to an endpoint', () => {
  const lines = hintsOf({})
  expect(lines).toContain('"back" listens on port 9100. Try it:')
  expect(lines).toContain('  netcat         nc 127.0.0.1 9100')
})

it('tells how to speak to one that expects PROXY headers, which no test client sends', () => {
  const lines = hintsOf({ proxyProtocol: { trust: '127.0.0.1' } })
  expect(lines.slice(1, 3)).toEqual([
    '"back" listens on port 9100 for a load balancer that sends PROXY headers.',
    "  netcat         (printf 'PROXY UNKNOWN\\r\\n'; cat) | nc 127.0.0.1 9100",
  ])
  expect(lines.join('\n')).not.toContain('telnet')
})
