import { Batch } from '../contracts/batch.ts'
import { type SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { type Batching, givenUp, type Outcomes, type Sink } from '../contracts/sink.ts'
import { whenStopped } from '../util/signals.ts'
import { checkOutcomes } from './outcomes.ts'

/**
 * Stands around a sink and joins the writes of many connections:
 *
 * ```
 *   write ─▶ ┌─────────┐   a free place, and full or old enough
 *   write ─▶ │ waiting │ ──────────────────────────────────────▶ sink.write(at most maxBatch) ─▶ outcomes, each to its
 *   write ─▶ └─────────┘   at most maxInFlight at once                                          own write
 * ```
 * A write that arrives while nothing is under way goes on at once; under load the next one collects what comes meanwhile.
 * This holds nothing back and confirms nothing early: each write has finished when all its messages have an outcome.
 *
 * The messages of one write are delivered in their order: those that did not fit into a batch wait until the ones before
 * them have their outcome. After a failure that may pass they fail with it, unsent: they would overtake what is tried
 * again. When the sink refuses a batch for good, its halves are tried apart, down to the message that
 * is to blame, so that one bad row does not fail its neighbours.
 *
 * What is not under way when nobody waits for it any more is not sent.
 */
export function withMerging(sink: Sink, batching: Batching): Sink {
  const merger = new Merger(sink, batching)
  return {
    write: (batch, over) => merger.write(batch, over),
    close: async () => {
      await merger.settled()
      await sink.close()
    },
  }
}

/** One call of `write`, until all its messages have an outcome. */
interface Waiting {
  readonly messages: readonly Message[]
  readonly outcomes: (SluiceError | undefined)[]
  /** How many messages have an outcome. */
  settled: number
  failed: boolean
  /** Some of its messages are under way. */
  busy: boolean
  /** When it was called; milliseconds of `performance.now`. */
  readonly since: number
  readonly over: AbortSignal | undefined
  /** Called once. */
  readonly settle: (outcomes: void | Outcomes) => void
}

/** Messages of one waiting write that stand in a batch. */
interface Share {
  readonly of: Waiting
  readonly count: number
}

class Merger {
  readonly #sink: Sink
  readonly #batching: Batching
  /** In the order of the calls. */
  #waiting: Waiting[] = []
  #inFlight = 0
  #timer: NodeJS.Timeout | undefined = undefined
  /** Who waits for the end; then no write waits for company any more. */
  #onSettled: (() => void)[] = []

  constructor(sink: Sink, batching: Batching) {
    this.#sink = sink
    this.#batching = batching
  }

  /** @param over aborted when nobody waits for the outcome any more */
  write(batch: Batch, over?: AbortSignal): Promise<void | Outcomes> {
    const { messages } = batch
    if (messages.length === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const outcomes = new Array<SluiceError | undefined>(messages.length).fill(undefined)
      const since = performance.now()
      // The signal may be that of a buffer, and live as long as the server.
      let forget = () => {}
      const settle = (settled: void | Outcomes) => {
        forget()
        resolve(settled)
      }
      const waiting: Waiting = { messages, outcomes, settled: 0, failed: false, busy: false, since, over, settle }
      this.#waiting.push(waiting)
      if (over !== undefined) forget = whenStopped(over, () => this.#giveUp(waiting))
      this.#begin()
    })
  }

  /** Fails what has no outcome yet, unless it is under way: then that is seen when it has come to its end. */
  #giveUp(waiting: Waiting): void {
    if (waiting.busy || waiting.settled === waiting.messages.length) return
    failRest(waiting, givenUp())
    waiting.settle(waiting.outcomes)
    this.#forgetSettled()
  }

  /** Waits for no more company. Resolves when nothing is left. */
  settled(): Promise<void> {
    if (this.#waiting.length === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onSettled.push(resolve)
      this.#begin()
    })
  }

  /** Begins as many writes as may begin now. */
  #begin(): void {
    while (this.#inFlight < this.#batching.maxInFlight) {
      const shares = this.#choose()
      if (shares.length === 0) return
      this.#inFlight++
      void this.#deliver(shares)
    }
  }

  /** Takes what is due into one batch, oldest first; nothing when it is worth waiting for more. */
  #choose(): readonly Share[] {
    const { maxBatch, maxWait } = this.#batching
    const shares: Share[] = []
    let room = maxBatch
    for (const waiting of this.#waiting) {
      if (waiting.busy) continue
      const count = Math.min(room, waiting.messages.length - waiting.settled)
      shares.push({ of: waiting, count })
      room -= count
      if (room === 0) break
    }
    const [oldest] = shares
    if (oldest === undefined) return shares
    const left = oldest.of.since + maxWait - performance.now()
    if (room > 0 && maxWait > 0 && left > 0 && this.#onSettled.length === 0) {
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined
        this.#begin()
      }, Math.ceil(left))
      return []
    }
    for (const { of } of shares) of.busy = true
    return shares
  }

  async #deliver(shares: readonly Share[]): Promise<void> {
    const messages = shares.flatMap(({ of, count }) => of.messages.slice(of.settled, of.settled + count))
    // A batch of several writes goes on for those who still wait.
    const over = shares.length === 1 ? shares[0]!.of.over : undefined
    const outcomes = await deliverApart(this.#sink, messages, over)
    let at = 0
    for (const { of, count } of shares) {
      let passing: SluiceError | undefined
      for (let i = 0; i < count; i++) {
        const error = outcomes?.[at++]
        if (error === undefined) continue
        of.outcomes[of.settled + i] = error
        of.failed = true
        if (error.retryable) passing = error
      }
      of.settled += count
      if (passing !== undefined) failRest(of, passing)
      else if (of.over?.aborted && of.settled < of.messages.length) failRest(of, givenUp())
      of.busy = false
      if (of.settled === of.messages.length) of.settle(of.failed ? of.outcomes : undefined)
    }
    this.#inFlight--
    this.#forgetSettled()
    this.#begin()
  }

  #forgetSettled(): void {
    this.#waiting = this.#waiting.filter((waiting) => waiting.settled < waiting.messages.length)
    if (this.#waiting.length === 0) for (const resolve of this.#onSettled.splice(0)) resolve()
  }
}

function failRest(waiting: Waiting, error: SluiceError): void {
  waiting.outcomes.fill(error, waiting.settled)
  waiting.settled = waiting.messages.length
  waiting.failed = true
}

/** One write, and when the sink refuses it for good, one for each half. */
async function deliverApart(
  sink: Sink,
  messages: readonly Message[],
  over: AbortSignal | undefined,
): Promise<void | Outcomes> {
  try {
    return checkOutcomes(await sink.write(Batch.of(messages), over), messages.length)
  } catch (thrown) {
    const error = toSluiceError(thrown, 'sink_failed')
    if (error.retryable || messages.length === 1) return new Array<SluiceError>(messages.length).fill(error)
    const halves = [messages.slice(0, messages.length >> 1), messages.slice(messages.length >> 1)]
    const outcomes: (SluiceError | undefined)[] = []
    for (const half of halves) {
      const passing = outcomes.find((one) => one?.retryable) ?? (over?.aborted ? givenUp() : undefined)
      if (passing !== undefined) outcomes.push(...half.map(() => passing))
      else outcomes.push(...((await deliverApart(sink, half, over)) ?? half.map(() => undefined)))
    }
    return outcomes
  }
}
