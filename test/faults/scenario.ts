import { createRandom, type Random } from '../../src/testing/random.ts'
import type { Comparison } from './ledger-check.ts'
import { compare, faultsOf } from './ledger-check.ts'
import { LedgerClient } from './ledger-client.ts'
import { Newcomers } from './newcomers.ts'
import { ServerProcess } from './server-process.ts'
import type { Setup } from './setup.ts'

export interface ScenarioOptions {
  readonly setup: Setup
  /** Equal seeds make equal choices; what the clock and the kernel do is not repeated. */
  readonly seed: number
  /** How often the fault happens. */
  readonly rounds: number
  /** Messages acknowledged in all, at least. */
  readonly acknowledged: number
  /** Whether rates are measured and judged, in the time that this takes. No machine is quiet while it runs tests. */
  readonly measured: boolean
}

/** The options of a scenario that brings its own setup. */
export type OwnOptions = Omit<ScenarioOptions, 'setup'>

/** What a scenario has shown. The numbers are sums over all rounds. */
export interface ScenarioResult {
  readonly comparison: Comparison
  readonly answersPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Other numbers worth knowing, each under the words that explain it. */
  readonly notes: Readonly<Record<string, number>>
  /** What must not be, in sentences; empty when the scenario has passed. */
  readonly faults: readonly string[]
}

/** The note that says how many messages of one round were found twice. */
export const MOST_DUPLICATES = 'most duplicates of one round'

/** Collects what goes wrong in the rounds of a scenario, and makes its result. */
export class Findings {
  readonly #faults: string[] = []
  readonly #notes: Record<string, number> = {}
  #duplicates = 0

  /** Compares what was acknowledged with what is found now. */
  compare(round: number, client: LedgerClient, setup: Pick<Setup, 'places'>, server: ServerProcess): Comparison {
    const comparison = compare(client.ledger, setup.places(server.store))
    for (const fault of faultsOf(comparison)) this.add(round, fault)
    this.noteMost(MOST_DUPLICATES, comparison.duplicates - this.#duplicates)
    this.#duplicates = comparison.duplicates
    return comparison
  }

  add(round: number, fault: string): void {
    this.#faults.push(`round ${round}: ${fault}`)
  }

  /** Keeps the largest of the numbers noted under these words. */
  noteMost(words: string, value: number): void {
    this.#notes[words] = Math.max(this.#notes[words] ?? 0, Math.round(value))
  }

  noteMore(words: string, value: number): void {
    this.#notes[words] = (this.#notes[words] ?? 0) + value
  }

  result(client: LedgerClient, comparison: Comparison): ScenarioResult {
    const { strange, outOfOrder } = client.faults
    return {
      comparison,
      answersPerSecond: Math.round(client.answersPerSecond),
      p50Ms: rounded(client.latencies.percentile(0.5)),
      p99Ms: rounded(client.latencies.percentile(0.99)),
      notes: this.#notes,
      faults: [
        ...this.#faults,
        ...(strange > 0 ? [`${strange} answers are for no message that waits`] : []),
        ...(outOfOrder > 0 ? [`${outOfOrder} answers came behind the answer of a later message`] : []),
      ],
    }
  }
}

/** A server under the load of clients, in which the fault of a scenario happens again and again. Both end with it. */
export interface UnderLoad extends AsyncDisposable {
  readonly random: Random
  readonly findings: Findings
  readonly server: ServerProcess
  readonly client: LedgerClient
  /** Waits for the answers of a round: by chance few or many, in the last round all that are wanted. */
  answered(round: number): Promise<void>
}

/** @param store where the server keeps its data; default: a folder of its own */
export async function startUnderLoad(
  { setup, seed, rounds, acknowledged }: ScenarioOptions,
  store?: string,
): Promise<UnderLoad> {
  const random = createRandom(seed)
  const mean = Math.ceil(acknowledged / rounds)
  await using opened = new AsyncDisposableStack()
  const server = opened.use(await ServerProcess.create(setup, store))
  await server.start()
  const client = opened.use(await LedgerClient.start({ port: server.port }))
  const both = opened.move()
  return {
    random,
    findings: new Findings(),
    server,
    client,
    async answered(round) {
      const target = client.answers + random.int(1, 2 * mean - 1)
      await client.answered(round === rounds ? Math.max(target, acknowledged) : target)
    },
    [Symbol.asyncDispose]: () => both.disposeAsync(),
  }
}

/** A server to which clients come that stay, and others that come and go all the time. */
export interface WithNewcomers {
  readonly findings: Findings
  readonly server: ServerProcess
  readonly client: LedgerClient
  /** How many clients stay. */
  readonly connections: number
}

/** Clients that stay, their messages in a second, and clients that come and go in a second. */
const LONG = { connections: 1000, pace: 2000, newcomers: 500 }
const SHORT = { connections: 50, pace: 500, newcomers: 50 }

/**
 * Does something to a server in each round, when its share of the answers has come. Then nobody comes any more, and each
 * of the clients that stay has had one more answer; nobody must have been refused.
 * @param ended adds what is to be found at the end, before the messages are compared
 */
export async function withNewcomers(
  setup: Setup,
  { rounds, acknowledged, measured }: OwnOptions,
  act: (around: WithNewcomers, round: number) => Promise<void>,
  ended: (around: WithNewcomers, dropped: number) => Promise<void> | void,
): Promise<ScenarioResult> {
  const findings = new Findings()
  const { connections, pace, newcomers: perSecond } = measured ? LONG : SHORT
  await using server = await ServerProcess.create(setup)
  await server.start()
  await using client = await LedgerClient.start({ port: server.port, connections, outstanding: 4 })
  client.pace(pace)
  const newcomers = new Newcomers(server.port, client.ledger, perSecond)
  const around = { findings, server, client, connections }
  const mean = Math.ceil(acknowledged / rounds)
  for (let round = 1; round <= rounds; round++) {
    await client.answered(Math.min(acknowledged, round * mean))
    await act(around, round)
  }
  await newcomers.stop()
  client.pace(undefined)
  await client.answered(client.answers + connections)
  await client.stop()
  const { served, refused, dropped } = newcomers
  findings.noteMost('connections that came and went', served)
  if (refused > 0) findings.add(rounds, `${refused} connections were refused`)
  await ended(around, dropped)
  return findings.result(client, findings.compare(rounds, client, setup, server))
}

function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 100) / 100
}
