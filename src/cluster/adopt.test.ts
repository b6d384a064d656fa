import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../../test/support/server.ts'
import { configOfValue } from '../config/loaded.ts'
import { type Plan, planConfig } from '../config/plan.ts'
import type { EventMap } from '../contracts/events.ts'
import { CREATE_BUFFERS } from '../delivery/buffers-file.ts'
import { createRegistry } from '../registry/builtins.ts'
import { lockFolder } from '../storage/folder-lock.ts'
import { adoptLeftovers } from './adopt.ts'
import { assignConnects } from './connects.ts'

const buffered = (id: string) => [{ tcp: { host: 'h', port: 1, buffer: 'disk' }, id }]

function planOf(baseDir: string, workers: number, connects: readonly string[] = ['a', 'b']): Plan {
  const config = {
    workers,
    listen: { l: { port: 9100, dataflow: buffered('everywhere') } },
    connect: Object.fromEntries(
      connects.map((name) => [name, { host: 'h', port: 2, dataflow: buffered(`of-${name}`) }]),
    ),
    data: { dir: 'data' },
  }
  return planConfig(configOfValue(config, baseDir), createRegistry(), {}).plan!
}

function store(file: string, step: string, table = 'entries'): void {
  mkdirSync(dirname(file), { recursive: true })
  using database = new DatabaseSync(file)
  database.exec(CREATE_BUFFERS)
  const [columns, values] = table === 'entries' ? ['messages, bytes, crc', '1, 0, 0'] : ['detail', `'broken'`]
  database.exec(`INSERT INTO ${table} (step, time, data, ${columns}) VALUES ('${step}', 1, x'00', ${values})`)
}

function stored(file: string): string[] {
  if (!existsSync(file)) return []
  using database = new DatabaseSync(file, { readOnly: true })
  return database
    .prepare('SELECT step FROM entries ORDER BY step')
    .all()
    .map(({ step }) => String(step))
}

function adopt(plan: Plan): EventMap['buffer.adopted'][] {
  const told: EventMap['buffer.adopted'][] = []
  adoptLeftovers(plan, assignConnects(plan, new Map()), (adopted) => told.push(adopted))
  return told
}

it('leaves everything where it is while the workers are the same', () => {
  using folder = temporaryFolder()
  expect(adopt(planOf(folder.path, 2))).toEqual([])
  const files = ['buffers.db', 'worker-2/buffers.db'].map((name) => join(folder.path, 'data', name))
  for (const file of files) for (const step of ['everywhere', 'nobody has it']) store(file, step)
  expect(adopt(planOf(folder.path, 2))).toEqual([])
  for (const file of files) expect(stored(file)).toEqual(['everywhere', 'nobody has it'])
})

it('brings what waits for an endpoint that dials to the worker that dials it now', () => {
  using folder = temporaryFolder()
  const data = join(folder.path, 'data')
  // Of one process that dialled both.
  for (const step of ['of-a', 'of-b', 'everywhere']) store(join(data, 'buffers.db'), step)
  const told = adopt(planOf(folder.path, 2))
  expect(told).toEqual([{ step: 'of-b', messages: 1, from: data, to: join(data, 'worker-2') }])
  expect(stored(join(data, 'buffers.db'))).toEqual(['everywhere', 'of-a'])
  expect(stored(join(data, 'worker-2/buffers.db'))).toEqual(['of-b'])
})

it('gives what workers that are gone have left to the first, and removes their folders', () => {
  using folder = temporaryFolder()
  const data = join(folder.path, 'data')
  for (const slot of [2, 3, 4]) {
    for (const step of ['everywhere', 'of-b', 'nobody has it']) store(join(data, `worker-${slot}/buffers.db`), step)
  }
  store(join(data, 'worker-4/buffers.db'), 'everywhere', 'damaged')
  writeFileSync(join(data, 'worker-3/dedupe-once.db'), '')
  adopt(planOf(folder.path, 1))
  expect(stored(join(data, 'buffers.db'))).toEqual(
    ['everywhere', 'nobody has it', 'of-b'].flatMap((step) => [step, step, step]),
  )
  expect(existsSync(join(data, 'worker-2'))).toBe(false)
  // Keys may be wanted again; what was put aside is for people to look at.
  expect([existsSync(join(data, 'worker-3/dedupe-once.db')), existsSync(join(data, 'worker-3/buffers.db'))]).toEqual([
    true,
    false,
  ])
  expect(existsSync(join(data, 'worker-4/buffers.db'))).toBe(true)
  expect(adopt(planOf(folder.path, 1))).toEqual([])
})

it('touches nothing that another server uses', () => {
  using folder = temporaryFolder()
  const left = join(folder.path, 'data/worker-2/buffers.db')
  store(left, 'everywhere')
  const unlock = lockFolder(dirname(left))
  expect(() => adopt(planOf(folder.path, 1))).toThrow(/^another server .*uses the data folder .*worker-2$/)
  unlock()
  expect(stored(left)).toEqual(['everywhere'])
  expect(adopt(planOf(folder.path, 1))).toHaveLength(1)
})
