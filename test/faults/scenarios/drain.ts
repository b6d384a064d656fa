import { type ScenarioOptions, type ScenarioResult, startUnderLoad } from '../scenario.ts'

/** What `sluice run` gives a drain when it is not told otherwise, in milliseconds. */
const DEADLINE = 15_000

/**
 * SIGTERM under load: the server finishes what has arrived, answers it in whole lines, and ends with 0. The clients read
 * to the end, so what was stored has its answer too.
 */
export async function drain(options: ScenarioOptions): Promise<ScenarioResult> {
  await using load = await startUnderLoad(options)
  const { findings, server, client } = load
  const { setup, rounds } = options
  for (let round = 1; ; round++) {
    await load.answered(round)
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
