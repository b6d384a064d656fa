import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { Peer } from '../../support/peer.ts'
import { LedgerClient } from '../ledger-client.ts'
import { Findings, type OwnOptions, type ScenarioResult } from '../scenario.ts'
import { ServerProcess } from '../server-process.ts'
import { configOf, deadLetters, REPLY, rowsOf, type Setup } from '../setup.ts'
import { within } from '../within.ts'

/** Where the script runs. */
type Isolate = 'thread' | 'process'

/** What becomes of a message that begins with one of these. A constraint of the table refuses `refuse`. */
const KINDS: Readonly<Record<Isolate, readonly string[]>> = {
  thread: ['throw', 'loop', 'exit', 'refuse'],
  process: ['throw', 'loop', 'exit', 'refuse', 'abort', 'kill'],
}

const SCRIPT = `export default (msg) => {
  if (msg.startsWith('throw')) throw new Error('poison')
  while (msg.startsWith('loop'));
  if (msg.startsWith('exit')) process.exit(1)
  if (msg.startsWith('abort')) process.abort()
  if (msg.startsWith('kill')) process.kill(process.pid, 'SIGKILL')
  return msg
}
`

/** What the script may take for a batch, in milliseconds. One that loops uses up a core for so long. */
const TIMEOUT = 500

/**
 * A measurement, in milliseconds: without poison, with each kind of it once, without again, and so on. What is kept is
 * the rate with it beside the mean of the two around it: a table that grows slows all three down.
 */
const MEASURE = 15_000
const WARM_UP = 3000

/** What the other clients must keep of their throughput. */
const MIN_KEPT = 0.95

/** How long it may take until poison is a dead letter, in milliseconds. */
const MAX_WAIT = 30_000

/**
 * Among the messages of many clients are some that a step cannot take: one throws, one loops for ever, one ends what it
 * runs in, one is refused by the sink for good. Each becomes a dead letter, and the other clients are answered as before.
 */
export async function poison(
  isolate: Isolate,
  { rounds, acknowledged, measured }: OwnOptions,
): Promise<ScenarioResult> {
  const setup = setupOf(isolate)
  const kinds = KINDS[isolate]
  const findings = new Findings()
  await using server = await ServerProcess.create(setup)
  prepare(server.store)
  await server.start()
  await using client = await LedgerClient.start({ port: server.port })
  const peers = await Promise.all(kinds.map(() => Peer.connect(server.port)))
  const sent: string[] = []
  const kept: number[] = []
  if (measured) await sleep(WARM_UP)
  let before = measured ? await rateOf(client) : 0
  for (let round = 1; round <= rounds; round++) {
    for (const [i, kind] of kinds.entries()) {
      const line = `${kind} ${round}`
      peers[i]!.send(`${line}\n`)
      sent.push(line)
    }
    const poisoned = measured ? await rateOf(client) : 0
    await within(MAX_WAIT, 'the poison is in the dead letters', untilBuried(server.store, sent.length))
    if (!measured) continue
    const after = await rateOf(client)
    kept.push((2 * poisoned) / (before + after))
    before = after
  }
  await client.answered(acknowledged)
  await client.stop()
  await Promise.all(peers.map((peer) => peer[Symbol.asyncDispose]()))
  findings.noteMost('poisoned messages', sent.length)
  findings.noteMost('slowest answer in ms', client.latencies.percentile(1))
  const buried = buriedIn(server.store)
  if (buried.toSorted().join() !== sent.toSorted().join())
    findings.add(rounds, `the dead letters are not the poison: ${buried.join(', ')}`)
  if (measured) {
    const middle = kept.toSorted((a, b) => a - b)[kept.length >> 1]!
    findings.noteMost('throughput of the others in %', middle * 100)
    const each = kept.map((share) => Math.round(share * 100)).join(', ')
    if (middle < MIN_KEPT) findings.add(rounds, `in all rounds the other clients kept ${each} %`)
  }
  return findings.result(client, findings.compare(rounds, client, setup, server))
}

const setupOf = (isolate: Isolate): Setup => ({
  name: `script-${isolate}-sqlite`,
  window: 0,
  config: ({ port, store }) =>
    configOf(port, store, [
      `script: { file: ${join(store, 'script.mjs')}, timeout: ${TIMEOUT}ms, isolate: ${isolate} }`,
      `sqlite: { file: ${join(store, 'rows.db')}, table: rows, columns: { line: msg } }`,
      REPLY,
    ]),
  // The dead letters are compared on their own: what is in them and no poison is missing.
  places: (store) => [rowsOf('sqlite', join(store, 'rows.db'), 'rows', 'line')],
})

function prepare(store: string): void {
  mkdirSync(store, { recursive: true })
  writeFileSync(join(store, 'script.mjs'), SCRIPT)
  using database = new DatabaseSync(join(store, 'rows.db'))
  database.exec(`CREATE TABLE rows (line TEXT CHECK (line NOT LIKE 'refuse%'))`)
}

/** Answers a second over the time of a measurement. */
async function rateOf(client: LedgerClient): Promise<number> {
  const [at, answers] = [performance.now(), client.answers]
  await sleep(MEASURE)
  return ((client.answers - answers) * 1000) / (performance.now() - at)
}

async function untilBuried(store: string, count: number): Promise<void> {
  while (buriedIn(store).length < count) await sleep(20)
}

function buriedIn(store: string): string[] {
  try {
    return [...deadLetters(store).lines()]
  } catch (error) {
    // The file is there a moment before its table.
    if ((error as Error).message.includes('no such table')) return []
    throw error
  }
}
