import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createRandom } from '../../../src/testing/random.ts'
import { LedgerClient } from '../ledger-client.ts'
import { FailingDisk } from '../mounts.ts'
import { Findings, type ScenarioOptions, type ScenarioResult } from '../scenario.ts'
import { ServerProcess } from '../server-process.ts'

/** The power goes in this many milliseconds at most after the answer that the round waited for. */
const MAX_LATER = 20

/**
 * The disk loses its power under load: what was not synced is gone, so this shows that an answer is sent after the sync.
 * The process is killed as well, the file system recovers, and the server starts on what is left.
 */
export async function powerLoss({ setup, seed, rounds, acknowledged }: ScenarioOptions): Promise<ScenarioResult> {
  const random = createRandom(seed)
  const mean = Math.ceil(acknowledged / rounds)
  const findings = new Findings()
  await using disk = await FailingDisk.create()
  await using server = await ServerProcess.create(setup, join(disk.path, 'store'))
  await server.start()
  await using client = await LedgerClient.start({ port: server.port })
  for (let round = 1; ; round++) {
    const target = client.answers + random.int(1, 2 * mean - 1)
    await client.answered(round === rounds ? Math.max(target, acknowledged) : target)
    await sleep(random.int(0, MAX_LATER))
    await disk.losePower()
    await server.kill()
    await client.until(() => client.connections === 0)
    await disk.recover()
    await server.start()
    const comparison = findings.compare(round, client, setup, server)
    if (round === rounds) {
      await server.kill()
      return findings.result(client, comparison)
    }
    await client.reconnect()
  }
}
