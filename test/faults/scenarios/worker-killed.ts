import { LedgerClient } from '../ledger-client.ts'
import { Newcomers } from '../newcomers.ts'
import { Findings, type OwnOptions, type ScenarioResult } from '../scenario.ts'
import { ServerProcess } from '../server-process.ts'
import { bufferOf, bufferSetup, type Setup, sqliteSetup, withWorkers } from '../setup.ts'

/** The load of the scenario `reload`: connections that stay, their messages in a second, and newcomers in a second. */
const LONG = { connections: 1000, pace: 2000, newcomers: 500 }
const SHORT = { connections: 50, pace: 500, newcomers: 50 }

const WORKERS = 2

/** kill -9 of one worker of two after the other, each when the last has been replaced. Nobody is refused. */
export function workerKilled(options: OwnOptions): Promise<ScenarioResult> {
  return run(withWorkers(WORKERS, sqliteSetup), options)
}

/** The same with a disk buffer: what waits for a dead worker is delivered by the one in its place. */
export function bufferingWorkerKilled(options: OwnOptions): Promise<ScenarioResult> {
  const places: Setup['places'] = (store) => [
    { ...bufferOf(store, 'data/worker-2'), name: 'buffer of worker 2' },
    ...bufferSetup.places(store),
  ]
  return run({ ...withWorkers(WORKERS, bufferSetup), places }, options)
}

async function run(setup: Setup, { rounds, acknowledged, measured }: OwnOptions): Promise<ScenarioResult> {
  const findings = new Findings()
  const { connections, pace, newcomers: perSecond } = measured ? LONG : SHORT
  await using server = await ServerProcess.create(setup)
  await server.start()
  await using client = await LedgerClient.start({ port: server.port, connections, outstanding: 4 })
  client.pace(pace)
  const newcomers = new Newcomers(server.port, client.ledger, perSecond)
  const mean = Math.ceil(acknowledged / rounds)
  for (let round = 1; round <= rounds; round++) {
    await client.answered(Math.min(acknowledged, round * mean))
    const worker = (round % WORKERS) + 1
    const life = Math.ceil(round / WORKERS)
    const before = performance.now()
    process.kill(await server.worker(worker, life), 'SIGKILL')
    // Those that were with it come back, to the worker that is still there.
    await client.until(() => client.connections < connections)
    await client.reconnect()
    await server.worker(worker, life + 1)
    await client.reconnect()
    findings.noteMost('slowest replacement of a worker in ms', performance.now() - before)
  }
  await newcomers.stop()
  client.pace(undefined)
  await client.answered(client.answers + connections)
  await client.stop()
  const { served, refused, dropped } = newcomers
  findings.noteMost('connections that came and went', served)
  findings.noteMost('of them cut off by a kill', dropped)
  if (refused > 0) findings.add(rounds, `${refused} connections were refused`)
  if (server.log.includes('"connection.refused"')) findings.add(rounds, 'the log tells of refused connections')
  const { code } = await server.stop()
  if (code !== 0) findings.add(rounds, `the server ended with ${code}`)
  return findings.result(client, findings.compare(rounds, client, setup, server))
}
