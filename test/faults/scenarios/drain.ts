import { createRandom } from '../../../src/testing/random.ts'
import { LedgerClient } from '../ledger-client.ts'
import { Findings, type ScenarioOptions, type ScenarioResult } from '../scenario.ts'
import { ServerProcess } from '../server-process.ts'

/** What `sluice run` gives a drain when it is not told otherwise, in milliseconds. */
const DEADLINE = 15_000

/**
 * SIGTERM under load: the server finishes what has arrived, answers it in whole lines, and ends with 0. The clients read
 * to the end, so what was stored has its answer too.
 */
export async function drain({ setup, seed, rounds, acknowledged }: ScenarioOptions): Promise<ScenarioResult> {
  const random = createRandom(seed)
  const mean = Math.ceil(acknowledged / rounds)
  const findings = new Findings()
  await using server = await ServerProcess.create(setup)
  await server.start()
  await using client = await LedgerClient.start({ port: server.port })
  for (let round = 1; ; round++) {
    const target = client.answers + random.int(1, 2 * mean - 1)
    await client.answered(round === rounds ? Math.max(target, acknowledged) : target)
    const before = performance.now()
    const { code } = await server.stop()
    const spent = performance.now() - before
    await client.until(() => client.connections === 0)
    findings.noteMost('slowest drain in ms', spent)
    if (code !== 0) findings.add(round, `the exit code is ${code}`)
    if (spent > DEADLINE) findings.add(round, `the drain took ${Math.round(spent)} ms`)
    const comparison = findings.compare(round, client, setup, server)
    if (comparison.unacknowledged > 0) {
      findings.add(round, `${comparison.unacknowledged} messages are stored and have no answer`)
    }
    if (client.faults.partial > 0) findings.add(round, `${client.faults.partial} connections ended in an answer`)
    if (round === rounds) return findings.result(client, comparison)
    await server.start()
    await client.reconnect()
  }
}
