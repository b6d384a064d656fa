import { setTimeout as sleep } from 'node:timers/promises'
import { createRandom } from '../../../src/testing/random.ts'
import { LedgerClient } from '../ledger-client.ts'
import { Findings, type ScenarioOptions, type ScenarioResult } from '../scenario.ts'
import { ServerProcess } from '../server-process.ts'

/** The process dies in this many milliseconds at most after the answer that the round waited for. */
const MAX_LATER = 20

/** One restart in so many is killed too, before it is done. */
const KILLED_STARTS = 4

/**
 * kill -9 at random times under load, then a restart on the same data. What the kernel has in memory survives this, so it
 * shows the program's own order of storing and answering, and its recovery; power loss is a scenario of its own.
 */
export async function kill({ setup, seed, rounds, acknowledged }: ScenarioOptions): Promise<ScenarioResult> {
  const random = createRandom(seed)
  const mean = Math.ceil(acknowledged / rounds)
  const findings = new Findings()
  await using server = await ServerProcess.create(setup)
  await server.start()
  await using client = await LedgerClient.start({ port: server.port })
  for (let round = 1; ; round++) {
    const target = client.answers + random.int(1, 2 * mean - 1)
    await client.answered(round === rounds ? Math.max(target, acknowledged) : target)
    await sleep(random.int(0, MAX_LATER))
    await server.kill()
    await client.until(() => client.connections === 0)
    if (random.int(1, KILLED_STARTS) === 1) {
      await server.killWhileStarting(random.int(0, 400))
      findings.noteMore('starts killed', 1)
    }
    const before = performance.now()
    await server.start()
    findings.noteMost('slowest start in ms', performance.now() - before)
    const comparison = findings.compare(round, client, setup, server)
    if (round === rounds) return findings.result(client, comparison)
    await client.reconnect()
  }
}
