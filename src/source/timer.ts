import type { Clock } from '../contracts/clock.ts'
import type { Receiver, Subscription } from '../contracts/subscription.ts'
import { nextDaily } from '../util/daily.ts'

/** When a schedule runs. */
export interface Timing {
  /** Milliseconds from one run to the next, or times of day in milliseconds since midnight. */
  readonly when: { readonly every: number } | { readonly at: readonly number[]; readonly timezone: string }
  /** Also when it begins. */
  readonly runAtStart: boolean
}

/**
 * Gives an empty delivery with the event `timer` whenever it is time. It may be one run at a time: while the last one has
 * not ended, the next is skipped.
 * @param skipped told of each run that was skipped
 */
export function createTimer(timing: Timing, clock: Pick<Clock, 'now'>, skipped: () => void): Subscription {
  return new Timer(timing, clock, skipped)
}

class Timer implements Subscription {
  readonly #timing: Timing
  readonly #clock: Pick<Clock, 'now'>
  readonly #skipped: () => void
  #timer: NodeJS.Timeout | undefined = undefined
  #running = false

  constructor(timing: Timing, clock: Pick<Clock, 'now'>, skipped: () => void) {
    this.#timing = timing
    this.#clock = clock
    this.#skipped = skipped
  }

  start(receiver: Receiver): void {
    const { when, runAtStart } = this.#timing
    if (runAtStart) this.#run(receiver)
    if ('every' in when) this.#runEvery(when.every, performance.now() + when.every, receiver)
    else this.#runAt(when.at, when.timezone, nextDaily(this.#clock.now(), when.at, when.timezone), receiver)
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer)
  }

  async close(): Promise<void> {}

  /** @param due on the clock that nobody sets, so that the runs neither drift nor jump */
  #runEvery(every: number, due: number, receiver: Receiver): void {
    this.#timer = setTimeout(
      () => {
        this.#run(receiver)
        // After a time in which the machine has slept there is one run, not all that were missed.
        const missed = Math.max(0, Math.floor((performance.now() - due) / every))
        this.#runEvery(every, due + (missed + 1) * every, receiver)
      },
      Math.max(0, due - performance.now()),
    )
  }

  /** @param due milliseconds since 1970 */
  #runAt(at: readonly number[], timezone: string, due: number, receiver: Receiver): void {
    // The clock may be set, and the machine may sleep: so it is looked at now and then.
    const wait = Math.min(Math.max(0, due - this.#clock.now()), LOOK_AGAIN_MS)
    this.#timer = setTimeout(() => {
      const now = this.#clock.now()
      if (now < due) return this.#runAt(at, timezone, due, receiver)
      this.#run(receiver)
      this.#runAt(at, timezone, nextDaily(now, at, timezone), receiver)
    }, wait)
  }

  #run(receiver: Receiver): void {
    if (this.#running) {
      this.#skipped()
      return
    }
    this.#running = true
    receiver.take([{ payload: NOTHING, topic: '', id: '', event: 'timer', settle: () => (this.#running = false) }])
  }
}

const LOOK_AGAIN_MS = 60_000

const NOTHING = Buffer.alloc(0)
