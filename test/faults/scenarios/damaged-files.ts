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
 * One file of the store is damaged after a crash: a bit flipped, its end missing, a block overwritten. Whatever the server
 * makes of it, it must not hang or die with a stack trace, and what it acknowledges from then on must be there. Messages
 * in what was damaged may be lost.
 */
export async function damagedFiles({ setup, seed, rounds, acknowledged }: ScenarioOptions): Promise<ScenarioResult> {
  const random = createRandom(seed)
  const findings = new Findings()
  using whole = temporaryFolder()
  await using server = await ServerProcess.create(setup)
  await server.start()
  await using client = await LedgerClient.start({ port: server.port, connections: 2, outstanding: 4 })
  await client.answered(acknowledged)
  await server.kill()
  await client.until(() => client.connections === 0)
  cpSync(server.store, whole.path, { recursive: true })
  for (let round = 1; ; round++) {
    rmSync(server.store, { recursive: true })
    cpSync(whole.path, server.store, { recursive: true })
    const what = damage(server.store, random)
    const firstStream = client.ledger.streams.length + 1
    const fault = (error: unknown) => findings.add(round, `${what}: ${(error as Error).message}`)
    try {
      const verdict = await judgeStart(server, () => client.reconnect().then(() => client))
      findings.noteMore(verdict.kind, 1)
      if (verdict.kind !== 'refuses') await server.stop()
    } catch (error) {
      fault(error)
    }
    await server.kill()
    await client.until(() => client.connections === 0)
    const comparison = readBack(client, setup.places(server.store), firstStream, fault)
    if (round === rounds) return findings.result(client, comparison)
  }
}

/** What the server acknowledged on damaged data must be readable, too. */
function readBack(
  client: LedgerClient,
  places: Parameters<typeof compare>[1],
  firstStream: number,
  fault: (error: unknown) => void,
) {
  const nothing = compare(client.ledger, [], client.ledger.streams.length + 1)
  const isAsked = client.ledger.streams.slice(firstStream - 1).some(({ acknowledged }) => acknowledged.size > 0)
  if (!isAsked) return nothing
  try {
    const comparison = compare(client.ledger, places, firstStream)
    if (comparison.missing > 0) fault(new Error(`${comparison.missing} messages acknowledged afterwards are missing`))
    return comparison
  } catch (error) {
    fault(new Error(`messages were acknowledged afterwards and cannot be read: ${(error as Error).message}`))
    return nothing
  }
}
