import { join } from 'node:path'
import { createRandom } from '../../../src/testing/random.ts'
import { LedgerClient } from '../ledger-client.ts'
import { mountTmpfs } from '../mounts.ts'
import { Findings, type ScenarioOptions, type ScenarioResult } from '../scenario.ts'
import { ServerProcess } from '../server-process.ts'
import { judgeStart } from '../start-verdict.ts'

/** A long run must not fill it: a buffer leaves the last 16 MiB of a disk alone. */
const DISK_SIZE = 512 * 1024 ** 2

/**
 * A start on a file system that has become read-only, as Linux makes them after errors: with data of an earlier run or
 * none, after a stop or a crash. It must refuse in a sentence, or say why it acknowledges nothing; and it must lose nothing.
 */
export async function readOnly({ setup, seed, rounds, acknowledged }: ScenarioOptions): Promise<ScenarioResult> {
  const random = createRandom(seed)
  const findings = new Findings()
  await using disk = await mountTmpfs(DISK_SIZE)
  await using server = await ServerProcess.create(setup, join(disk.path, 'store'))
  await server.start()
  await using client = await LedgerClient.start({ port: server.port, connections: 2, outstanding: 4 })
  for (let round = 1; ; round++) {
    await client.answered(client.answers + random.int(1, acknowledged))
    if (random.int(0, 1) === 0) await server.kill()
    else await server.stop()
    await client.until(() => client.connections === 0)
    await disk.setWritable(false)
    try {
      const { kind } = await judgeStart(server, () => client.reconnect().then(() => client))
      findings.noteMore(kind, 1)
      if (kind === 'serves') findings.add(round, 'messages are acknowledged on a read-only disk')
    } catch (error) {
      findings.add(round, (error as Error).message)
    }
    await server.kill()
    await client.until(() => client.connections === 0)
    await disk.setWritable(true)
    await server.start()
    const comparison = findings.compare(round, client, setup, server)
    if (round === rounds) {
      await server.stop()
      return findings.result(client, comparison)
    }
    await client.reconnect()
  }
}
