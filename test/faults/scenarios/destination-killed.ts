import { setTimeout as sleep } from 'node:timers/promises'
import { createRandom } from '../../../src/testing/random.ts'
import { NatsServer } from '../../support/nats.ts'
import { LedgerClient } from '../ledger-client.ts'
import { Findings, type OwnOptions, type ScenarioResult } from '../scenario.ts'
import { ServerProcess } from '../server-process.ts'
import { bufferOf, configOf, deadLetters, REPLY } from '../setup.ts'
import { within } from '../within.ts'

const STREAM = 'LEDGER'

/** The destination dies in this many milliseconds at most after the answer that the round waited for. */
const MAX_LATER = 50

/** How long it is away, at most, in milliseconds. */
const MAX_AWAY = 500

/** How long all that waits may take to be delivered, in milliseconds. */
const MAX_DRAIN = 120_000

/** kill -9 of the destination, a JetStream, while a disk buffer delivers to it; then it is started again. */
export async function destinationKilled({ seed, rounds, acknowledged }: OwnOptions): Promise<ScenarioResult> {
  const random = createRandom(seed)
  const mean = Math.ceil(acknowledged / rounds)
  const findings = new Findings()
  await using nats = await NatsServer.start()
  await nats.addStream({ name: STREAM, subjects: ['ledger'] })
  const step = `{ nats: { servers: "${nats.url}", subject: ledger, buffer: disk }, id: send }`
  await using server = await ServerProcess.create({ config: ({ port, store }) => configOf(port, store, [step, REPLY]) })
  await server.start()
  await using client = await LedgerClient.start({ port: server.port })
  for (let round = 1; round <= rounds; round++) {
    const target = client.answers + random.int(1, 2 * mean - 1)
    await client.answered(round === rounds ? Math.max(target, acknowledged) : target)
    await sleep(random.int(0, MAX_LATER))
    await nats.kill()
    await sleep(random.int(0, MAX_AWAY))
    // The senders are answered without their destination too.
    await client.answered(client.answers + 1)
    await nats.restart()
  }
  await client.stop()
  const before = performance.now()
  const waits = () => !bufferOf(server.store).lines()[Symbol.iterator]().next().done
  const drain = async () => {
    while (waits()) await sleep(50)
  }
  await within(MAX_DRAIN, 'the destination gets all that waits', drain())
  findings.noteMost('last delivery in ms', performance.now() - before)
  const stored = (await nats.stored(STREAM)).map(({ text }) => text)
  const stream = { name: 'stream', ordered: true, lines: () => stored, salvage: () => stored }
  const places = (store: string) => [bufferOf(store), deadLetters(store), stream]
  return findings.result(client, findings.compare(rounds, client, { places }, server))
}
