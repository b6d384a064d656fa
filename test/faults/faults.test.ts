import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { type OwnScenario, ownScenarios, type Scenario, scenarios } from './catalogue.ts'
import { inject } from './injection.ts'
import { compare, faultsOf } from './ledger-check.ts'
import { LedgerClient } from './ledger-client.ts'
import { powerLoss } from './scenarios/power-loss.ts'
import { ServerProcess } from './server-process.ts'
import { answerFirstSetup, bufferSetup, fileSetup, type Setup, sqliteSetup } from './setup.ts'
import { within } from './within.ts'

/** The same in every run, so that a failure names its seed. The long form takes others. */
const SEED = 1

/** A scenario waits for nothing longer than 60 s, so this is for machines that are very busy. */
const TIMEOUT = 120_000

const obstacles = new Map(
  await Promise.all(
    [...scenarios, ...ownScenarios].map(async (scenario) => [scenario.name, await scenario.obstacle()] as const),
  ),
)
for (const [name, why] of obstacles) if (why !== undefined) console.log(`the fault scenario ${name} is skipped: ${why}`)

describe.each<Setup>([sqliteSetup, bufferSetup])('a server whose messages are safe in $name', (setup) => {
  it.each<Scenario>(scenarios.filter(({ name }) => obstacles.get(name) === undefined))(
    '$name: $proves',
    async ({ run, short }) => {
      const { faults, comparison } = await run({ setup, seed: SEED, measured: false, ...short })
      expect(faults).toEqual([])
      expect(comparison.acknowledged).toBeGreaterThanOrEqual(short.acknowledged)
    },
    TIMEOUT,
  )
})

describe('a server with a configuration of its own', () => {
  it.each<OwnScenario>(ownScenarios.filter(({ name }) => obstacles.get(name) === undefined))(
    '$name: $proves',
    async ({ run, short }) => {
      const { faults, comparison } = await run({ seed: SEED, measured: false, ...short })
      expect(faults).toEqual([])
      expect(comparison.acknowledged).toBeGreaterThanOrEqual(short.acknowledged)
    },
    TIMEOUT,
  )
})

describe('the harness finds', () => {
  it.skipIf(obstacles.get('power-loss') !== undefined)(
    'what a power cut takes from a file without fsync',
    async () => {
      const options = { setup: fileSetup({ fsync: false }), seed: SEED, rounds: 1, acknowledged: 2000, measured: false }
      const { faults, comparison } = await powerLoss(options)
      expect(comparison.missing).toBeGreaterThan(0)
      expect(faults).toEqual([expect.stringContaining('acknowledged messages are missing')])
    },
    TIMEOUT,
  )

  it.skipIf(obstacles.get('io-error') !== undefined)(
    'that an answer was sent before its row was stored',
    async () => {
      await using server = await ServerProcess.create(answerFirstSetup)
      await server.start()
      await using client = await LedgerClient.start({ port: server.port })
      await client.answered(1000)
      const { happened, stop } = await inject(server.pid, { calls: ['fdatasync', 'fsync'], error: 'EIO' })
      await within(TIMEOUT, 'a sync fails', happened(1))
      // The rows of that sync are not stored, and their answers have been sent. None is under way any more after this.
      await sleep(200)
      await server.kill()
      await stop()
      await client.until(() => client.connections === 0)
      await server.start()
      const found = compare(client.ledger, answerFirstSetup.places(server.store))
      expect(found.missing).toBeGreaterThan(0)
      expect(faultsOf(found)).toEqual([expect.stringContaining('acknowledged messages are missing')])
    },
    TIMEOUT,
  )
})
