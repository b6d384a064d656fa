import { setTimeout as sleep } from 'node:timers/promises'
import { type ScenarioOptions, type ScenarioResult, startUnderLoad } from '../scenario.ts'

/** The process dies in this many milliseconds at most after the answer that the round waited for. */
const MAX_LATER = 20

/** One restart in so many is killed too, before it is done. */
const KILLED_STARTS = 4

/**
 * kill -9 at random times under load, then a restart on the same data. What the kernel has in memory survives this, so it
 * shows the program's own order of storing and answering, and its recovery; power loss is a scenario of its own.
 */
export async function kill(options: ScenarioOptions): Promise<ScenarioResult> {
  await using load = await startUnderLoad(options)
  const { random, findings, server, client } = load
  const { setup, rounds } = options
  for (let round = 1; ; round++) {
    await load.answered(round)
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
