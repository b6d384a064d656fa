import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type Config, SluiceError } from '../../src/index.ts'
import { eventually, registryWith } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { start } from '../support/server.ts'

/** The storage thread, while there is one, and how many have ended. */
let thread: Worker | undefined
let deaths: number
/** Answers that have come, from whatever endpoint. */
let answers: number
const remember = (worker: Worker) => {
  thread = worker
  worker.once('exit', () => {
    thread = undefined
    deaths++
  })
}

beforeEach(() => {
  thread = undefined
  deaths = 0
  answers = 0
  process.on('worker', remember)
})
afterEach(() => void process.off('worker', remember))

function valuesOf(file: string, sql: string): unknown[] {
  using database = new DatabaseSync(file, { readOnly: true, timeout: 5000 })
  return database
    .prepare(sql)
    .all()
    .map((row) => Object.values(row)[0])
}

const DEATHS = 5

/** Sends lines, each as soon as the one before is answered, until the storage thread has ended so many times. */
async function send(port: number, name: string): Promise<string[]> {
  await using peer = await Peer.connect(port)
  const sent: string[] = []
  for (; deaths < DEATHS; sent.push(`${name}${sent.length}`)) {
    await peer.send(`${name}${sent.length}\n`).hear(`OK ${name}${sent.length}\n`)
    answers++
  }
  return sent
}

/** Ends the storage thread whenever it has done something: in the middle of a commit, for there is always more to do. */
async function endThreads(): Promise<void> {
  while (deaths < DEATHS) {
    const before = { deaths, answers }
    await eventually(() => answers >= before.answers + 3)
    for (let turn = 0; turn < 7 * deaths; turn++) await new Promise(setImmediate)
    await thread?.terminate()
    await eventually(() => deaths > before.deaths || thread !== undefined)
  }
}

it('may end in the middle of commits: nothing that was acknowledged is lost, and the next thread goes on', async () => {
  const delivered: string[] = []
  const registry = registryWith(
    'held',
    ({ messages }) => void delivered.push(...messages.map(({ msg }) => String(msg))),
  )
  const reply = { reply: 'OK ${msg}' }
  const config = {
    listen: {
      rows: { port: 0, dataflow: [{ sqlite: { file: 'rows.db', table: 'rows', columns: { v: 'msg' } } }, reply] },
      buffered: { port: 0, dataflow: [{ held: { buffer: 'disk' }, id: 'store' }, reply] },
      once: {
        port: 0,
        key: 'msg',
        dataflow: [{ dedupe: {}, id: 'once' }, { file: 'once.txt' }, reply],
        onError: [reply],
      },
    },
  } as unknown as Config
  await using running = await start(config, { registry })
  const [rows, buffered, deduped] = await Promise.all([
    send(running.port('rows'), 'r'),
    send(running.port('buffered'), 'b'),
    send(running.port('once'), 'o'),
    endThreads(),
  ])
  const stored = new Set(valuesOf(join(running.folder, 'rows.db'), 'SELECT v FROM rows'))
  expect(rows!.filter((value) => !stored.has(value))).toEqual([])
  await eventually(() => buffered!.every((value) => delivered.includes(value)))
  await eventually(() => running.server.buffers[0]!.messages === 0)
  // What was stored though it could not be said so is delivered too, and counted nowhere as waiting.
  await eventually(
    () => valuesOf(join(running.folder, 'sluice-data/buffers.db'), 'SELECT id FROM entries').length === 0,
  )
  expect(running.server.buffers[0]).toMatchObject({ messages: 0, bytes: 0, oldest: 0 })
  expect(deduped!.length).toBeGreaterThan(0)
}, 60_000)

it('may end while dead letters are stored: each of them is kept', async () => {
  const registry = registryWith('held', () => {
    throw new SluiceError('sink_failed', 'no')
  })
  const config = {
    listen: { lines: { port: 0, dataflow: [{ reply: 'OK ${msg}' }, { held: {} }] } },
  } as unknown as Config
  await using running = await start(config, { registry })
  {
    await using peer = await Peer.connect(running.port())
    await peer.send('first\n').hear('OK first\n')
    await running.event('deadLetter.stored')
  }
  const [sent] = await Promise.all([send(running.port(), 'd'), endThreads()])
  await eventually(() => running.all('deadLetter.stored').length >= sent.length + 1)
  const kept = new Set(valuesOf(join(running.folder, 'sluice-data/dead-letters.db'), 'SELECT value FROM dead_letters'))
  expect(sent.filter((value) => !kept.has(JSON.stringify(value)))).toEqual([])
  expect(running.all('deadLetter.lost')).toEqual([])
}, 60_000)
