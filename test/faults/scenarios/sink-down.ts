import { setTimeout as sleep } from 'node:timers/promises'
import { Destination } from '../destination.ts'
import { type FaultProxy, startFaultProxy } from '../fault-proxy.ts'
import { LedgerClient } from '../ledger-client.ts'
import { ResidentMemory } from '../resident-memory.ts'
import { Findings, type OwnOptions, type ScenarioResult } from '../scenario.ts'
import { ServerProcess } from '../server-process.ts'
import { bufferOf, configOf, DELIVERY, deadLetters, linesOf, REPLY, type Setup } from '../setup.ts'
import { within } from '../within.ts'

/** In which ways a destination is away; the rounds take turns. Each gives what makes it well again. */
const AWAY: Readonly<Record<string, (proxy: FaultProxy) => Promise<() => Promise<void>>>> = {
  async refuses(proxy) {
    await proxy.set({ refuse: true })
    proxy.resetAll()
    return () => proxy.set({})
  },
  async swallows(proxy) {
    await proxy.set({ blackhole: true })
    return () => proxy.set({})
  },
  async resets(proxy) {
    await proxy.set({ stall: true })
    proxy.resetAll()
    const timer = setInterval(() => proxy.resetAll(), 50)
    return () => {
      clearInterval(timer)
      return proxy.set({})
    }
  },
}

/** How long it is away, in milliseconds. */
const LONG = 60_000
const SHORT = 1000

/** The load while it is away: this share of what the server can acknowledge, or so many messages in a second. */
const SHARE = 0.35
const SHORT_PACE = 2000

/** For how long the load runs before its capacity is measured, and then to measure it, in milliseconds. */
const WARM_UP = 5000
const MEASURE = 10_000

/** For how long the usual load runs before the first fault: what a young process grows by is no fault's doing. */
const SETTLING = 60_000

/** What memory may grow by, and how much faster than it filled a buffer must be delivered. */
const MAX_GROWTH = 0.1
const MIN_DRAIN = 2

/** Within this time of its return a destination must get something: the longest wait between attempts, and a timeout. */
const MAX_RECOVERY = 20_000
const MAX_DRAIN = 300_000

/**
 * A destination is away, and the server goes on acknowledging into its buffer on disk. When it is back, all is delivered
 * in order while the load goes on.
 */
export async function sinkDown({ rounds, acknowledged, measured }: OwnOptions): Promise<ScenarioResult> {
  const findings = new Findings()
  await using destination = await Destination.start()
  await using proxy = await startFaultProxy({ to: { port: destination.port } })
  const setup = setupOf(proxy.port, destination.file)
  await using server = await ServerProcess.create(setup)
  await server.start()
  await using client = await LedgerClient.start({ port: server.port })
  const pace = measured ? SHARE * (await capacityOf(client)) : SHORT_PACE
  client.pace(pace)
  await within(MAX_DRAIN, 'the first messages are delivered', caughtUp(client, destination))
  using memory = new ResidentMemory(server.pid)
  if (measured) {
    findings.noteMost('load in messages/s', pace)
    await sleep(SETTLING)
  }
  const usual = memory.latest
  for (let round = 1; round <= rounds; round++) {
    const [way, begin] = Object.entries(AWAY)[(round - 1) % Object.keys(AWAY).length]!
    const start = { at: performance.now(), answers: client.answers, samples: memory.count }
    const heal = await begin(proxy)
    await sleep(measured ? LONG : SHORT)
    const filled = rateSince(start.at, client.answers - start.answers)
    const before = { at: performance.now(), received: destination.received }
    await heal()
    const first = destination.until(() => destination.received > before.received)
    await within(MAX_RECOVERY, `the destination that ${way} gets messages again`, first)
    findings.noteMost('slowest recovery in ms', performance.now() - before.at)
    const begun = { at: performance.now(), received: destination.received }
    await within(MAX_DRAIN, 'all that waited is delivered', caughtUp(client, destination))
    if (!measured) continue
    const drained = rateSince(begun.at, destination.received - begun.received)
    const growth = memory.highest(start.samples) / usual - 1
    findings.noteMost(`filled/s while it ${way}`, filled)
    findings.noteMost(`delivered/s after it ${way}`, drained)
    findings.noteMost('usual memory in MB', usual / 1e6)
    findings.noteMost(`memory growth in % while it ${way}`, growth * 100)
    if (drained < MIN_DRAIN * filled)
      findings.add(round, `it filled with ${Math.round(filled)}/s and was delivered with ${Math.round(drained)}/s`)
    if (growth > MAX_GROWTH) findings.add(round, `memory grew by ${Math.round(growth * 100)} %`)
  }
  client.pace(undefined)
  await client.answered(acknowledged)
  await client.stop()
  const all = destination.until(() => destination.received >= client.answers)
  await within(MAX_DRAIN, 'all that was acknowledged is delivered', all)
  return findings.result(client, findings.compare(rounds, client, setup, server))
}

function setupOf(port: number, file: string): Setup {
  const options = `url: "http://127.0.0.1:${port}/", batch: lines, maxBatch: 1024, maxInFlight: 1, timeout: 2s, buffer: disk`
  return {
    name: 'http-buffer',
    window: DELIVERY,
    config: ({ port, store }) => configOf(port, store, [`{ http: { ${options} }, id: send }`, REPLY]),
    places: (store) => [bufferOf(store), linesOf('destination', file), deadLetters(store)],
  }
}

/** Answers a second with the destination well and as many messages as are answered. */
async function capacityOf(client: LedgerClient): Promise<number> {
  await sleep(WARM_UP)
  const start = { at: performance.now(), answers: client.answers }
  await sleep(MEASURE)
  return rateSince(start.at, client.answers - start.answers)
}

/** Resolves when everything acknowledged has been delivered but for what comes anew all the time. */
function caughtUp(client: LedgerClient, destination: Destination): Promise<void> {
  return destination.until(() => destination.received >= client.answers - DELIVERY)
}

function rateSince(at: number, count: number): number {
  return (count * 1000) / (performance.now() - at)
}
