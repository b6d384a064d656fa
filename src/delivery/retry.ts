import { setTimeout as delay } from 'node:timers/promises'
import { Batch } from '../contracts/batch.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Outcomes, Sink } from '../contracts/sink.ts'
import { createBackoff } from '../util/backoff.ts'
import { withEither } from '../util/signals.ts'
import { formatDuration } from '../util/units.ts'
import { checkOutcomes } from './outcomes.ts'

/** The first wait is at most this many milliseconds, and the bound doubles from wait to wait. */
const FIRST_WAIT = 100

/** No wait is longer, in milliseconds. */
const LONGEST_WAIT = 5000

export interface RetryOptions {
  /** For how many milliseconds after the first failure a message is tried again; 0 means never. */
  readonly forMs: number
  /** How often a message is tried again at most. Default: as often as `forMs` allows. */
  readonly max?: number | undefined
  /** Id of the step, for the text of the error. */
  readonly step: string
  /** Ends every wait when the server stops without waiting any longer. */
  readonly signal: AbortSignal
  /**
   * Called before each wait.
   * @param attempt the attempts so far
   * @param retryInMs milliseconds until the next
   */
  onRetry(attempt: number, error: SluiceError, retryInMs: number): void
  /** Time and chance; a test brings its own. */
  readonly timing?: RetryTiming
}

export interface RetryTiming {
  /** Milliseconds, from any beginning; never goes back. */
  now(): number
  /** Resolves after so many milliseconds, or at once when the signal is aborted. Never rejects. */
  wait(milliseconds: number, signal: AbortSignal): Promise<void>
  /** A number in [0, 1). */
  random(): number
}

/**
 * Stands around a sink and tries messages again whose error is `retryable`, with exponential backoff and full jitter,
 * 100 ms doubling up to 5 s, and from 100 ms again when some of them have got through; never before the time that a
 * destination has asked for (`retryAfter`). Messages that were delivered, or refused for good, are not sent again; the
 * others keep their order. When the time is over, the last attempt has been made at its end, and what still fails has
 * failed with `sink_unavailable`, the sink's own error being its cause. What a destination wants later than that is not
 * tried again; it holds its lane to the end all the same, because the next message of the lane would come too early too.
 *
 * A wait holds the lane that called; nothing is kept beyond the batch in hand.
 */
export function withRetry(sink: Sink, options: RetryOptions): Sink {
  return {
    write(batch, over) {
      const settle = (given: void | Outcomes) => {
        const outcomes = checked(given, batch)
        // The result of a first attempt as it is, unless something in it is worth another.
        if (!outcomes?.some((error) => error?.retryable)) return outcomes
        return withEither(options.signal, over, (signal) => retry(sink, options, batch, outcomes, over, signal))
      }
      try {
        const written = sink.write(batch, over)
        if (!(written instanceof Promise)) return settle(written)
        return written.then(settle, (thrown) => settle(allFailed(batch, thrown)))
      } catch (thrown) {
        return settle(allFailed(batch, thrown))
      }
    },
    close: () => sink.close(),
  }
}

/**
 * @param over what each attempt is told
 * @param signal aborted when nobody waits any more: then no other attempt is made
 */
async function retry(
  sink: Sink,
  options: RetryOptions,
  batch: Batch,
  first: Outcomes,
  over: AbortSignal | undefined,
  signal: AbortSignal,
): Promise<Outcomes> {
  const { forMs, max = Number.POSITIVE_INFINITY, onRetry, timing = realTiming } = options
  const backoff = createBackoff({ first: FIRST_WAIT, max: LONGEST_WAIT, random: timing.random })
  const outcomes = [...first]
  const since = timing.now()
  let open = retryable(outcomes)
  let attempts = 1
  /** Something has been given up that the destination wants later. */
  let isHeld = false
  const giveUp = (position: number) => {
    outcomes[position] = unavailable(outcomes[position]!, attempts, timing.now() - since, options)
  }
  while (open.length > 0) {
    const left = forMs - (timing.now() - since)
    if (left <= 0 || attempts > max || signal.aborted) break
    const isLate = (position: number) => outcomes[position]!.retryAfter > left
    const late = open.filter(isLate)
    open = open.filter((position) => !isLate(position))
    for (const position of late) giveUp(position)
    isHeld ||= late.length > 0
    if (open.length === 0) break
    const asked = Math.max(...open.map((position) => outcomes[position]!.retryAfter))
    const wait = Math.min(Math.max(backoff.next(), asked), Math.ceil(left))
    onRetry(attempts, outcomes[open[0]!]!, wait)
    await timing.wait(wait, signal)
    if (signal.aborted) break
    const results = await attempt(sink, subset(batch, open), over)
    attempts++
    for (const [i, position] of open.entries()) outcomes[position] = results?.[i]
    const still = open.filter((position) => outcomes[position]?.retryable)
    // A destination that takes some of them is not down: what it takes in bits must not wait longer from bit to bit.
    if (still.length < open.length) backoff.reset()
    open = still
  }
  for (const position of open) giveUp(position)
  const left = forMs - (timing.now() - since)
  if (isHeld && left > 0) await timing.wait(Math.ceil(left), signal)
  return outcomes
}

async function attempt(sink: Sink, batch: Batch, over: AbortSignal | undefined): Promise<void | Outcomes> {
  try {
    return checked(await sink.write(batch, over), batch)
  } catch (thrown) {
    return allFailed(batch, thrown)
  }
}

/** Positions of the messages that are worth another attempt. */
function retryable(outcomes: Outcomes): number[] {
  return outcomes.flatMap((error, position) => (error?.retryable ? [position] : []))
}

/** The whole batch stays as it is, so that bytes that nobody looked at are still only bytes. */
function subset(batch: Batch, positions: readonly number[]): Batch {
  if (positions.length === batch.length) return batch
  return Batch.of(positions.map((position) => batch.messages[position]!))
}

/** Outcomes that make no sense fail all of the batch. */
function checked(outcomes: void | Outcomes, batch: Batch): void | Outcomes {
  try {
    return checkOutcomes(outcomes, batch.length)
  } catch (thrown) {
    return allFailed(batch, thrown)
  }
}

function allFailed(batch: Batch, thrown: unknown): Outcomes {
  return new Array<SluiceError>(batch.length).fill(toSluiceError(thrown, 'sink_failed'))
}

function unavailable(cause: SluiceError, attempts: number, spent: number, { step, signal }: RetryOptions): SluiceError {
  const times = attempts === 1 ? 'tried once' : `tried ${attempts} times in ${inWords(spent)}`
  const asked = cause.retryAfter > 0 ? `; it asks for a wait of ${inWords(cause.retryAfter)}` : ''
  const stopped = signal.aborted ? ', then the server stopped' : ''
  return new SluiceError('sink_unavailable', `${step} cannot deliver: ${cause.message} (${times}${asked}${stopped})`, {
    cause,
    attempts,
    retryable: true,
    ...(cause.hint === undefined ? {} : { hint: cause.hint }),
  })
}

function inWords(milliseconds: number): string {
  return formatDuration(milliseconds < 1000 ? Math.round(milliseconds) : Math.round(milliseconds / 1000) * 1000)
}

/** The clock and the chance of the machine. */
export const realTiming: RetryTiming = {
  now: () => performance.now(),
  wait: (milliseconds, signal) => delay(milliseconds, undefined, { signal }).catch(() => {}),
  random: Math.random,
}
