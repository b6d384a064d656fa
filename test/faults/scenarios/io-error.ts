import { setTimeout as sleep } from 'node:timers/promises'
import { type Injection, inject } from '../injection.ts'
import { type ScenarioOptions, type ScenarioResult, startUnderLoad } from '../scenario.ts'
import { within } from '../within.ts'

/** What fails in a round; the rounds take turns. */
const INJECTIONS: readonly Injection[] = [
  { calls: ['fdatasync', 'fsync'], error: 'EIO' },
  { calls: ['pwrite64', 'pwritev'], error: 'ENOSPC' },
  { calls: ['pwrite64', 'pwritev'], error: 'EIO' },
  { calls: ['fdatasync', 'fsync'], error: 'ENOSPC' },
]

/** Calls that fail before a disk is well again, at most. */
const MAX_FAILURES = 6

/** For how long a call may be waited for, in milliseconds; a sink may wait for seconds between two attempts. */
const MAX_WAIT = 30_000

/** Within this time of the last failure, messages must be acknowledged again, in milliseconds. */
const MAX_RECOVERY = 10_000

/** Messages that must be acknowledged to show that it goes on. */
const PROOF = 200

/**
 * The disk reports errors under load, for a sync or for a write, and is well again after some of them. Nothing that was
 * acknowledged is lost, nothing is acknowledged whose sync has failed, and the server goes on by itself.
 */
export async function ioError(options: ScenarioOptions): Promise<ScenarioResult> {
  await using load = await startUnderLoad(options)
  const { random, findings, server, client } = load
  const { setup, rounds } = options
  for (let round = 1; ; round++) {
    await load.answered(round)
    const injection = INJECTIONS[(round - 1) % INJECTIONS.length]!
    const injected = await inject(server.pid, injection)
    const what = `${injection.calls.join(' and ')} with ${injection.error}`
    await within(MAX_WAIT, `a failing ${what}`, injected.happened(1))
    // What was stored before the first failure may still be answered; for what came later there is nothing to say OK to.
    const possible = client.answers + client.outstanding
    await within(MAX_WAIT, `more failures of ${what}`, injected.happened(random.int(2, MAX_FAILURES)))
    await sleep(random.int(0, 200))
    const unearned = client.answers - possible
    if (unearned > 0) findings.add(round, `${unearned} messages at least were acknowledged while every ${what} failed`)
    await injected.stop()
    findings.noteMore('failed calls', injected.count)
    const before = performance.now()
    client.giveUp()
    const proof = client.answered(client.answers + PROOF)
    await within(MAX_RECOVERY, 'messages are acknowledged after the disk is well again', proof)
    findings.noteMost('slowest recovery in ms', performance.now() - before)
    // What was acknowledged must be there also after a crash: it was not enough that it is in the memory of the kernel.
    await server.kill()
    await client.until(() => client.connections === 0)
    await server.start()
    const comparison = findings.compare(round, client, setup, server)
    if (round === rounds) return findings.result(client, comparison)
    await client.reconnect()
  }
}
