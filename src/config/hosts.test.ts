import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createRegistry } from '../registry/builtins.ts'
import { diffPlans } from './diff.ts'
import { configOfValue } from './loaded.ts'
import { type ConnectPlan, type Planned, planConfig } from './plan.ts'
import { formatPath, type Problem } from './problems.ts'
import { describePlan } from './promise.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-hosts-'))
})
afterAll(() => rm(folder, { recursive: true }))

const dataflow = [{ stdout: {} }]

function plan(entry: object, rest: object = {}): Planned {
  const config = { connect: { scales: { dataflow, ...entry } }, ...rest }
  return planConfig(configOfValue(config, folder), createRegistry(), {})
}

async function planFile(content: string | Buffer, entry: object = {}): Promise<Planned> {
  await writeFile(join(folder, 'scales.csv'), content)
  return plan({ hosts: 'scales.csv', ...entry })
}

function devices({ plan: planned, problems }: Planned) {
  expect(problems).toEqual([])
  return (planned!.endpoints[0] as ConnectPlan).devices
}

function said({ problems }: Planned): string[] {
  return problems.map(({ code, path, position, message }: Problem) => {
    const place = position === undefined ? formatPath(path) : `${position.file}:${position.line}:${position.column}`
    return `${place} ${code} ${message}`
  })
}

describe('hosts', () => {
  test('are the lines of a file; other columns are tags', async () => {
    const file = 'id,host,port,line\nscale-1,10.0.0.1,4001,A\nscale-2,10.0.0.2,4002,\n'
    expect(devices(await planFile(file))).toMatchObject([
      { id: 'scale-1', tags: { line: 'A' }, dial: { host: '10.0.0.1', port: 4001 } },
      { id: 'scale-2', tags: { line: '' }, dial: { host: '10.0.0.2', port: 4002 } },
    ])
  })

  test('are as a spreadsheet writes them', async () => {
    const file = '\uFEFFHost;ID;Port\r\n10.0.0.1;1;4001\r\n'
    expect(devices(await planFile(file))).toMatchObject([{ id: '1', dial: { host: '10.0.0.1', port: 4001 } }])
  })

  test('are a mapping', () => {
    const hosts = { a: '10.0.0.1:4001', b: { host: 'b.local', line: 'B', row: 7 }, c: '::1', d: '[::1]:5' }
    expect(devices(plan({ hosts, port: 9 }))).toMatchObject([
      { id: 'a', dial: { host: '10.0.0.1', port: 4001 } },
      { id: 'b', tags: { line: 'B', row: '7' }, dial: { host: 'b.local', port: 9 } },
      { id: 'c', dial: { host: '::1', port: 9 } },
      { id: 'd', dial: { host: '::1', port: 5 } },
    ])
  })

  test('begin one after the other, within a second or a poll', () => {
    const hosts = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`s${i}`, '10.0.0.1:1']))
    const delays = (entry: object) => devices(plan({ hosts, ...entry })).map(({ delay }) => delay)
    for (const [entry, spread] of [
      [{}, 1000],
      [{ poll: { every: '30s', send: 'R' } }, 1000],
      [{ poll: { every: '300ms', send: 'R' } }, 300],
    ] as const) {
      const given = delays(entry)
      expect(new Set(given).size).toBe(300)
      expect(Math.min(...given)).toBe(0)
      expect(Math.max(...given)).toBeLessThan(spread)
    }
  })

  test('have each their own name in TLS, unless it is given', () => {
    const hosts = { a: 'a.local:1', b: '10.0.0.1:1' }
    const names = (tls: object) => devices(plan({ hosts, tls })).map(({ servername }) => servername)
    expect(names({})).toEqual(['a.local', undefined])
    expect(names({ servername: 'gateway' })).toEqual(['gateway', 'gateway'])
  })

  test.each<[string, string, string]>([
    ['no id', 'id,host\n,10.0.0.1', 'scales.csv:2:1 HOSTS_INVALID a device has no id'],
    ['a wrong id', 'id,host\na b,10.0.0.1', 'scales.csv:2:1 HOSTS_INVALID a b cannot be the id of a device'],
    ['no host', 'id,host\na,', 'scales.csv:2:3 HOSTS_INVALID a has no host'],
    ['a line that is too short', 'id,host\n\na', 'scales.csv:3:1 HOSTS_INVALID a has no host'],
    [
      'a wrong host',
      'id,host\na,10 0',
      'scales.csv:2:3 HOSTS_INVALID a host is an address or a name, and this one holds blanks',
    ],
    ['a wrong port', 'id,host,port\na,h,70000', 'scales.csv:2:5 HOSTS_INVALID 70000 is no port'],
    ['a wrong port in the host', 'id,host\na,h:x', 'scales.csv:2:3 HOSTS_INVALID x is no port'],
    [
      'an id that is taken',
      'id,host\na,h\nb,h\na,i',
      'scales.csv:4:1 DEVICE_TAKEN there is a device a in scales already',
    ],
    [
      'too many cells',
      'id,host\na,h,4001',
      'scales.csv:2:5 HOSTS_INVALID the line has 3 cells, and there are 2 columns',
    ],
    ['an open quote', 'id,host\na,"h', 'scales.csv:2:3 HOSTS_INVALID a quote is opened and never closed'],
    ['no header', 'a,10.0.0.1\n', 'scales.csv:1:1 HOSTS_INVALID there is no column id and no column host'],
    ['a column twice', 'id,host,Host\n', 'scales.csv:1:9 HOSTS_INVALID the column Host stands twice'],
    ['a column without name', 'id,,host\n', 'scales.csv:1:4 HOSTS_INVALID a column has no name'],
    ['nothing', '\n', 'connect.scales.hosts HOSTS_INVALID scales.csv is empty'],
    ['no device', 'id,host\n', 'connect.scales.hosts HOSTS_INVALID connect.scales has no device'],
  ])('with %s are told of with the place in the file', async (_, file, problem) => {
    const planned = await planFile(file, { port: 4001 })
    expect(said(planned)).toContain(problem)
  })

  test('all mistakes of a file are found at once, with their lines', async () => {
    const { problems, plan: none } = await planFile('id,host,port\na,,1\nb,h,0\nc,h,3\nc,h,x')
    expect(none).toBeUndefined()
    expect(problems.map(({ position }) => position?.line)).toEqual([2, 3, 5, 5])
    expect(problems[1]!.position!.text).toBe('b,h,0')
  })

  test('without a port anywhere are told of', () => {
    expect(said(plan({ hosts: { a: '10.0.0.1' } }))).toEqual(['connect.scales.hosts.a HOSTS_INVALID a has no port'])
  })

  test('in a file that is not there or no UTF-8 are told of', async () => {
    expect(said(plan({ hosts: 'none.csv' }))).toEqual([
      'connect.scales.hosts REFERENCE_FAILED the file none.csv does not exist',
    ])
    expect(said(await planFile(Buffer.from('id,host\n\xfc,h', 'latin1')))).toEqual([
      'connect.scales.hosts FILE_NOT_UTF8 scales.csv is not UTF-8 text',
    ])
    expect(said(plan({ hosts: '.' }))[0]).toMatch(/REFERENCE_FAILED the file \. cannot be read \(EISDIR\)/)
  })

  test('exclude host and socket', () => {
    expect(said(plan({ hosts: { a: 'h:1' }, host: 'h' }))).toEqual([
      'connect.scales.host ADDRESS_AMBIGUOUS connect.scales has both hosts and host',
    ])
    expect(said(plan({ hosts: { a: 'h:1' }, socket: '/s' }))).toEqual([
      'connect.scales.socket ADDRESS_AMBIGUOUS connect.scales has both hosts and socket',
    ])
  })

  test('have ids that no client of another endpoint can have', () => {
    const hosts = { 'a-1': 'h:1', 'scales-1': 'h:1' }
    const listen = { a: { port: 1, dataflow } }
    expect(said(plan({ hosts }, { listen }))).toEqual([
      'connect.scales.hosts.a-1 DEVICE_TAKEN a-1 may be the id of a client of a, which numbers its clients',
    ])
    const two = { connect: { x: { hosts: { a: 'h:1' }, dataflow }, y: { hosts: { a: 'h:1' }, dataflow } } }
    const planned = planConfig(configOfValue(two, folder), createRegistry(), {})
    expect(said(planned)).toEqual(['connect.y.hosts.a DEVICE_TAKEN there is a device a in x already'])
  })
})

test('a promise says how many devices there are and which file names them', async () => {
  const { plan: planned } = await planFile('id,host,port\na,h,1\nb,h,2\n', { poll: { every: '1s', send: 'R' } })
  expect(describePlan(planned!)[0]).toBe(
    'scales: connects to 2 devices of scales.csv, again when the connection is lost, asks every 1s',
  )
  expect(describePlan(plan({ hosts: { a: 'h:1' } }).plan!)[0]).toContain('connects to 1 device, again')
})

test('a line more, a line less and a line that is another are all that a reload changes', async () => {
  const { plan: before } = await planFile('id,host,port\na,h,1\nb,h,2\nc,h,3')
  const { plan: next } = await planFile('id,host,port\nb,h,2\nc,h,4\nd,h,5')
  expect(diffPlans(before!, next!)).toEqual({
    added: ['scales/d'],
    removed: ['scales/a'],
    changed: ['scales/c'],
    unchanged: ['scales'],
    restart: [],
  })
  const { plan: other } = await planFile('id,host,port\nb,h,2\nc,h,4\nd,h,5', { format: 'json' })
  expect(diffPlans(next!, other!)).toMatchObject({ added: [], removed: [], changed: ['scales'], unchanged: [] })
})
