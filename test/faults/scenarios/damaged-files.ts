import { cpSync, rmSync } from 'node:fs'
import { createRandom } from '../../../src/testing/random.ts'
import { temporaryFolder } from '../../support/server.ts'
import { damage } from '../damage.ts'
import { compare } from '../ledger-check.ts'
import { LedgerClient } from '../ledger-client.ts'
import { Findings, type ScenarioOptions, type ScenarioResult } from '../scenario.ts'
import { ServerProcess } from '../server-process.ts'
import { judgeStart } from '../start-verdict.ts'

/**
 * One file of the store is damaged after a crash or a stop: a bit flipped, its end missing, a block overwritten. Whatever
 * the server makes of it, it must not hang or die with a stack trace, and what it acknowledges from then on must be there.
 * Messages in what was damaged may be lost.
 */
export async function damagedFiles({ setup, seed, rounds, acknowledged }: ScenarioOptions): Promise<ScenarioResult> {
  const random = createRandom(seed)
  const findings = new Findings()
  using killed = temporaryFolder()
  using stopped = temporaryFolder()
  await using server = await ServerProcess.create(setup)
  await server.start()
  await using client = await LedgerClient.start({ port: server.port, connections: 2, outstanding: 4 })
  await client.answered(acknowledged)
  await server.kill()
  await client.until(() => client.connections === 0)
  cpSync(server.store, killed.path, { recursive: true })
  await server.start()
  await server.stop()
  cpSync(server.store, stopped.path, { recursive: true })
  for (let round = 1; ; round++) {
    rmSync(server.store, { recursive: true })
    cpSync(random.pick([killed, stopped]).path, server.store, { recursive: true })
    const what = damage(server.store, random)
    const firstStream = client.ledger.streams.length + 1
    try {
      const verdict = await judgeStart(server, () => client.reconnect().then(() => client))
      findings.noteMore(verdict.kind, 1)
      if (verdict.kind !== 'refuses') await server.stop()
    } catch (error) {
      findings.add(round, `${what}: ${(error as Error).message}`)
    }
    await server.kill()
    await client.until(() => client.connections === 0)
    const places = setup.places(server.store).map((place) => ({ ...place, ordered: false, lines: place.salvage }))
    const comparison = compare(client.ledger, places, firstStream)
    const { missing } = comparison
    if (missing > 0) findings.add(round, `${what}: ${missing} messages acknowledged afterwards are missing`)
    // A damaged place is read from both ends, so what is there twice says nothing.
    if (round === rounds) return findings.result(client, { ...comparison, duplicates: 0 })
  }
}
