import { describe, expect, test } from 'vitest'
import { createRegistry } from '../registry/builtins.ts'
import { withDefaults } from './defaults.ts'
import { configOfValue } from './loaded.ts'
import { type Planned, planConfig } from './plan.ts'
import { readYaml } from './yaml-source.ts'

function merged(value: object): unknown {
  return (withDefaults(configOfValue(value, '/')).value as Record<string, Record<string, unknown>>)['connect']
}

function plan(lines: readonly string[]): Planned {
  return planConfig(readYaml(lines.join('\n'), 'f.yaml', '/'), createRegistry(), {})
}

const said = ({ problems }: Planned) =>
  problems.map(({ code, position, message }) => `${position?.line}:${position?.column} ${code} ${message}`)

describe('defaults', () => {
  test.each<[string, object, object, object]>([
    ['fill in what an entry does not say', { port: 1 }, { host: 'a' }, { port: 1, host: 'a' }],
    ['give way to what it says', { port: 1 }, { port: 2 }, { port: 2 }],
    [
      'are joined with mappings',
      { limits: { a: 1, b: { c: 1 } } },
      { limits: { b: { d: 2 } } },
      { limits: { a: 1, b: { c: 1, d: 2 } } },
    ],
    ['give way to lists', { onError: [1, 2] }, { onError: [3] }, { onError: [3] }],
    [
      'give way to another framing',
      { framing: { fixed: { length: 1 } } },
      { framing: { gap: '1s' } },
      { framing: { gap: '1s' } },
    ],
    ['give way to a socket', { host: 'h', port: 1, format: 'json' }, { socket: 's' }, { format: 'json', socket: 's' }],
    ['give a port to hosts', { host: 'h', port: 1 }, { hosts: 'a.csv' }, { port: 1, hosts: 'a.csv' }],
  ])('%s', (_, given, entry, expected) => {
    expect(merged({ defaults: { connect: given }, connect: { x: entry } })).toEqual({ x: expected })
  })

  test('are for their section only, and change nothing that is given', () => {
    const value = { defaults: { listen: { format: 'json' } }, listen: { a: { port: 1 } }, connect: { b: { port: 2 } } }
    const copy = structuredClone(value)
    expect(withDefaults(configOfValue(value, '/')).value).toMatchObject({
      listen: { a: { port: 1, format: 'json' } },
      connect: { b: { port: 2 } },
    })
    expect(value).toEqual(copy)
  })

  test('may hold half of an option', () => {
    const { plan: planned, problems } = plan([
      'defaults: { connect: { port: 4001, poll: { timeout: 1s }, dataflow: [ stdout ] } }',
      'connect:',
      '  a: { host: h, poll: { every: 2s, send: R } }',
      '  b: { host: i, poll: { every: 3s, send: R, timeout: 2s } }',
    ])
    expect(problems).toEqual([])
    expect(planned!.endpoints).toMatchObject([
      { poll: { every: 2000, timeout: 1000 } },
      { poll: { every: 3000, timeout: 2000 } },
    ])
  })

  test('that are wrong are told of once, where they are written', () => {
    const planned = plan([
      'defaults:',
      '  connect:',
      '    port: 4001',
      '    poll: { every: 1, send: R }',
      '    framng: line',
      '    dataflow:',
      '      - filter: msg.(',
      '      - fliter: msg.x',
      'connect:',
      '  a: { host: h }',
      '  b: { host: i, timeout: 3 }',
    ])
    expect(said(planned)).toEqual([
      '4:20 VALUE_INVALID defaults.connect.poll.every is 1',
      '5:5 KEY_UNKNOWN defaults.connect has no option framng',
      expect.stringMatching(/^7:\d+ EXPRESSION_INVALID /),
      expect.stringMatching(/^8:9 STEP_UNKNOWN /),
      '11:26 VALUE_INVALID connect.b.timeout is 3',
    ])
  })

  test('a step with an id may stand there, as in a shared dataflow', () => {
    const planned = plan([
      'defaults: { connect: { port: 1, dataflow: [ { stdout: {}, id: out } ] } }',
      'connect: { a: { host: h }, b: { host: i } }',
    ])
    expect(planned.problems).toEqual([])
  })

  test('of another section are refused', () => {
    expect(
      said(plan(['defaults: { subscribe: { format: json } }', 'listen: { a: { port: 1, dataflow: [ stdout ] } }'])),
    ).toEqual(['1:13 KEY_UNKNOWN defaults has no option subscribe'])
  })

  test('a variable that is not set is told of once', () => {
    const planned = plan([
      'defaults: { connect: { port: "${env.NO_SUCH_PORT}", dataflow: [ stdout ] } }',
      'connect: { a: { host: h }, b: { host: i } }',
    ])
    expect(said(planned)).toEqual([
      '1:31 REFERENCE_FAILED ${env.NO_SUCH_PORT} in defaults.connect.port is not set in the environment',
    ])
  })
})
