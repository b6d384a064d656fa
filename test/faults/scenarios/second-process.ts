import { createRandom } from '../../../src/testing/random.ts'
import { LedgerClient } from '../ledger-client.ts'
import { Findings, type OwnOptions, type ScenarioResult } from '../scenario.ts'
import { ServerProcess } from '../server-process.ts'
import { bufferSetup } from '../setup.ts'
import { judgeStart } from '../start-verdict.ts'

/** Messages that the first one must acknowledge to show that it goes on. */
const PROOF = 200

/**
 * A second server is started on the data folder of one that runs: it refuses in a sentence that names the process, and the
 * first goes on answering. When the first is killed, nothing is left of its lock and the second one starts.
 */
export async function secondProcess({ seed, rounds, acknowledged }: OwnOptions): Promise<ScenarioResult> {
  const random = createRandom(seed)
  const mean = Math.ceil(acknowledged / rounds)
  const findings = new Findings()
  await using first = await ServerProcess.create(bufferSetup)
  await using second = await ServerProcess.create(bufferSetup, first.store)
  await first.start()
  await using client = await LedgerClient.start({ port: first.port })
  for (let round = 1; ; round++) {
    const target = client.answers + random.int(1, 2 * mean - 1)
    await client.answered(round === rounds ? Math.max(target, acknowledged) : target)
    const verdict = await judgeStart(second, () => LedgerClient.start({ port: second.port, connections: 1 }))
    if (verdict.kind !== 'refuses') findings.add(round, `the second one ${verdict.kind}`)
    else if (!verdict.sentence.includes(`(process ${first.pid})`)) findings.add(round, verdict.sentence)
    await client.answered(client.answers + PROOF)
    if (round === rounds) break
  }
  await first.kill()
  await client.until(() => client.connections === 0)
  await second.start()
  return findings.result(client, findings.compare(rounds, client, bufferSetup, second))
}
