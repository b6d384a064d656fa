import { type OwnOptions, type ScenarioResult, type WithNewcomers, withNewcomers } from '../scenario.ts'
import { bufferOf, bufferSetup, type Setup, sqliteSetup, withWorkers } from '../setup.ts'

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

function run(setup: Setup, options: OwnOptions): Promise<ScenarioResult> {
  const { rounds } = options
  const act = async ({ findings, server, client, connections }: WithNewcomers, round: number): Promise<void> => {
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
  const ended = async ({ findings, server }: WithNewcomers, dropped: number): Promise<void> => {
    findings.noteMost('of them cut off by a kill', dropped)
    if (server.log.includes('"connection.refused"')) findings.add(rounds, 'the log tells of refused connections')
    const { code } = await server.stop()
    if (code !== 0) findings.add(rounds, `the server ended with ${code}`)
  }
  return withNewcomers(setup, options, act, ended)
}
