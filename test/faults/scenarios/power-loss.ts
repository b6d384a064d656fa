import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { FailingDisk } from '../mounts.ts'
import { type ScenarioOptions, type ScenarioResult, startUnderLoad } from '../scenario.ts'

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
export async function powerLoss(options: ScenarioOptions): Promise<ScenarioResult> {
  await using disk = await FailingDisk.create()
  await using load = await startUnderLoad(options, join(disk.path, 'store'))
  const { random, findings, server, client } = load
  const { setup, rounds } = options
  for (let round = 1; ; round++) {
    const losePower = await disk.prepareLoss()
    await load.answered(round)
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
