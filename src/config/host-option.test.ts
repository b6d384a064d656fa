import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support/server.ts'
import { createRegistry } from '../registry/builtins.ts'
import { planConfig } from './plan.ts'
import { readYaml } from './yaml-source.ts'

/** Code, line:column, message and hint of each error. */
const problemsOf = (text: string, env = {}, baseDir = '.') =>
  planConfig(readYaml(text, 'sluice.yaml', baseDir), createRegistry(), env)
    .problems.filter(({ severity }) => severity === 'error')
    .map(
      ({ code, position, message, hint }) =>
        `${code} ${position?.file}:${position?.line}:${position?.column}: ${message} → ${hint}`,
    )

const step = (text: string) => `listen: { a: { port: 1, dataflow: [ { ${text} } ] } }`
const holdsPort = 'a host is an address or a name, and this one holds a port → write host: h, port: 99'

test.each([
  ['connect: { a: { host: "h:99", port: 99, dataflow: [] } }', 'connect.a.host', '1:23'],
  ['listen: { a: { host: "h:99", port: 99, dataflow: [] } }', 'listen.a.host', '1:22'],
  ['listen: { a: { host: [ "::1", "h:99" ], port: 99, dataflow: [] } }', 'listen.a.host[1]', '1:31'],
  ['admin: { host: "h:99", port: 99 }\nlisten: { a: { port: 1, dataflow: [] } }', 'admin.host', '1:16'],
  [step('tcp: { host: "h:99", port: 99 }'), 'listen.a.dataflow[0].tcp.host', '1:52'],
  [
    step('request: { to: { tcp: { host: "h:99", port: 99 } }, text: x }'),
    'listen.a.dataflow[0].request.to.tcp.host',
    '1:69',
  ],
  [step('mqtt: { host: "h:99", topic: t }'), 'listen.a.dataflow[0].mqtt.host', '1:53'],
  [step('redis: { host: "h:99", publish: c }'), 'listen.a.dataflow[0].redis.host', '1:54'],
  [step('postgres: { host: "h:99", user: u, table: t }'), 'listen.a.dataflow[0].postgres.host', '1:57'],
])('a host that holds a port is a mistake: %s', (text, path, place) => {
  expect(problemsOf(text)).toEqual([`VALUE_INVALID sluice.yaml:${place}: ${path}: ${holdsPort}`])
})

test('hosts of a device are hosts, with or without a port', () => {
  using folder = temporaryFolder()
  const connect = (hosts: string) => `connect: { a: { hosts: ${hosts}, port: 99, dataflow: [] } }`
  const scheme = 'a host is an address or a name, and this one holds a scheme → write host: h, port: 99'
  expect(problemsOf(connect('{ s: "tcp://h:99" }'))).toEqual([`HOSTS_INVALID sluice.yaml:1:29: ${scheme}`])
  writeFileSync(join(folder.path, 'scales.csv'), 'id,host\ns,tcp://h:99\n')
  expect(problemsOf(connect('scales.csv'), {}, folder.path)).toEqual([`HOSTS_INVALID scales.csv:2:3: ${scheme}`])
  expect(problemsOf(connect('{ s: "h:99", t: "[fe80::1%eth0]:99", u: "::1", v: "[::1]", w: scale_7.local. }'))).toEqual(
    [],
  )
})

test('a host comes from the environment as well, and the folder of a socket stays one', () => {
  const text = 'connect: { a: { host: "${env.SCALE}", port: 99, dataflow: [] } }'
  expect(problemsOf(text, { SCALE: '10.0.0.7' })).toEqual([])
  expect(problemsOf(text, { SCALE: 'h:99' })).toEqual([`VALUE_INVALID sluice.yaml:1:23: connect.a.host: ${holdsPort}`])
  expect(problemsOf(text)).toEqual([expect.stringContaining('REFERENCE_FAILED')])
  expect(problemsOf(step('postgres: { host: "/var/run/post gres", user: u, table: t }'))).toEqual([])
})
