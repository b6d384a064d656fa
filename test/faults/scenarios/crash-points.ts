import { createRandom, type Random } from '../../../src/testing/random.ts'
import { type CrashPoint, crashPoints, HELD, type Side, straceOf, traceeOf } from '../crash-point.ts'
import { compare, faultsOf } from '../ledger-check.ts'
import { LedgerClient } from '../ledger-client.ts'
import { Findings, type OwnOptions, type ScenarioResult } from '../scenario.ts'
import { ServerProcess } from '../server-process.ts'
import { bufferSetup } from '../setup.ts'

/** Messages that must be acknowledged after a restart to show that it goes on. */
const PROOF = 200

/** Messages acknowledged before a stop begins that will not be finished. */
const BEFORE_STOP = 500

/**
 * The process is killed exactly at a system call, before or after it: of a journal, a checkpoint, a delivery, an answer, of
 * the first start and of the end. After each, all that was acknowledged is there and the server goes on.
 */
export async function crashPointsScenario({ seed, rounds, acknowledged }: OwnOptions): Promise<ScenarioResult> {
  const random = createRandom(seed)
  const findings = new Findings()
  await using server = await ServerProcess.create(bufferSetup)
  await server.start()
  await using client = await LedgerClient.start({ port: server.port })
  await client.answered(PROOF)
  await client.stop()
  await server.stop()
  for (let round = 1; round <= rounds; round++) {
    const i = (round - 1) % crashPoints.length
    const point = crashPoints[i]!
    // In the next turn each has its other side.
    const side: Side = (i + Math.floor((round - 1) / crashPoints.length)) % 2 === 0 ? 'before' : 'after'
    const complain = (fault: string) => findings.add(round, `${side} ${point.name}: ${fault}`)
    if (point.phase === 'start') await crashFirstStart(point, side, random, complain)
    else {
      await crash(point, side, random, server, client, complain)
      await server.start()
      const before = client.answers
      findings.compare(round, client, bufferSetup, server)
      await client.reconnect()
      await client.answered(round === rounds ? Math.max(acknowledged, before + PROOF) : before + PROOF)
      await client.stop()
      await server.stop()
    }
    findings.noteMore(`killed ${side} ${point.name}`, 1)
  }
  await server.start()
  return findings.result(client, findings.compare(rounds, client, bufferSetup, server))
}

/** Kills a server while it makes its folder and its files, and sees whether the next start makes do with what is there. */
async function crashFirstStart(
  point: CrashPoint,
  side: Side,
  random: Random,
  complain: (fault: string) => void,
): Promise<void> {
  await using server = await ServerProcess.create(bufferSetup)
  await crash(point, side, random, server, undefined, complain)
  await server.start()
  await using client = await LedgerClient.start({ port: server.port })
  await client.answered(PROOF)
  await client.stop()
  for (const fault of faultsOf(compare(client.ledger, bufferSetup.places(server.store)))) complain(fault)
}

/** Starts the server and waits until it has died at the point. */
async function crash(
  point: CrashPoint,
  side: Side,
  random: Random,
  server: ServerProcess,
  client: LedgerClient | undefined,
  complain: (fault: string) => void,
): Promise<void> {
  server.spawn(straceOf(point, side, random.int(...point.nth), server.store))
  try {
    const held = side === 'after' ? server.logged(HELD).then(() => killTraced(server)) : Promise.resolve()
    held.catch(() => {})
    if ((await server.settled()) === 'listening' && client !== undefined) {
      client.resume()
      // The process may be dead before all connections are there.
      await client.reconnect().catch(() => {})
      if (point.phase === 'stop') {
        await client.answered(client.answers + BEFORE_STOP)
        process.kill(traceeOf(server.pid), 'SIGTERM')
      }
    }
    const { code } = await server.finished()
    if (code !== 'SIGKILL') complain(`it was not killed there, it ended with ${code}`)
    await client?.until(() => client.connections === 0)
  } catch (thrown) {
    killTraced(server)
    throw new Error(`${side} ${point.name}: ${(thrown as Error).message}`, { cause: thrown })
  }
}

/** Kills the server, and strace with it: that would keep a thread which it holds until the time is over. */
function killTraced(server: ServerProcess): void {
  try {
    process.kill(traceeOf(server.pid), 'SIGKILL')
  } catch {
    // Both have ended.
  }
  server.signal('SIGKILL')
}
