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
 *
 * A sync that runs at the very moment of the cut may report success for what is gone: the ioctl is no real power cut, after
 * which nobody would hear of it (seen on Linux 6.18 with 20 lines of C, once in 10). So either no call runs then, because
 * the process is frozen and all it has answered counts; or calls run, and no answer counts that comes after.
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
    const losePower = await disk.prepareLoss()
    const target = client.answers + random.int(1, 2 * mean - 1)
    await client.answered(round === rounds ? Math.max(target, acknowledged) : target)
    await sleep(random.int(0, MAX_LATER))
    if (random.int(0, 1) === 0) await server.freeze()
    else client.disconnect()
    await losePower()
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
