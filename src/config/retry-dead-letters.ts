import { Batch } from '../contracts/batch.ts'
import type { Clock } from '../contracts/clock.ts'
import { countReason } from '../contracts/counters.ts'
import type { Dataflow } from '../contracts/dataflow.ts'
import { mutedSource } from '../contracts/detached-source.ts'
import { type SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Events } from '../contracts/events.ts'
import type { Message } from '../contracts/message.ts'
import type { StoredDeadLetter } from '../delivery/dead-letter-rows.ts'
import type { DeadLetterStore } from '../delivery/dead-letters.ts'
import { unpackBatch } from '../delivery/packed-batch.ts'
import { FailureList } from '../engine/stages.ts'
import type { EntryPoints } from './entry-points.ts'

/** What became of dead letters that were retried. */
export interface RetryReport {
  /** Were dealt with and are no dead letters any more. */
  readonly done: readonly number[]
  /** Are dead letters still. */
  readonly kept: readonly KeptLetter[]
  /** Answers that were skipped, because nobody waits for them any more. */
  readonly repliesSkipped: number
}

export interface KeptLetter {
  readonly id: number
  /** One clause. */
  readonly reason: string
  /** False when it could not be tried at all: nothing has changed. */
  readonly tried: boolean
  /** It could not be tried because its endpoint is not here: another worker may have it. */
  readonly elsewhere?: boolean
}

export interface RetrySurroundings {
  readonly store: DeadLetterStore
  readonly clock: Clock
  readonly events: Events
  /** Those of the configuration that is in force, by endpoint. */
  entryPoints(): ReadonlyMap<string, EntryPoints>
  /** No other message is begun once it is false. */
  isRunning(): boolean
}

/**
 * Takes dead letters through the dataflow again, from the step in which they failed and with the same key: one after the
 * other, in the order that is given. What succeeds is removed behind that; what fails stays, with its new error.
 *
 * A message that has become a dead letter has had its chance in an `onError`, so none takes it again. Its answers are
 * skipped: whoever waited for them has gone.
 */
export async function retryDeadLetters(ids: readonly number[], around: RetrySurroundings): Promise<RetryReport> {
  const done: number[] = []
  const kept: KeptLetter[] = []
  let repliesSkipped = 0
  for (const id of ids) {
    const result = around.isRunning()
      ? await retryOne(id, around, () => repliesSkipped++)
      : notTried('the server is stopping')
    if (result === undefined) done.push(id)
    else kept.push({ id, ...result })
  }
  return { done, kept, repliesSkipped }
}

type Kept = Omit<KeptLetter, 'id'>

function notTried(reason: string): Kept {
  return { reason, tried: false }
}

function failedAgain({ message }: SluiceError): Kept {
  return { reason: message, tried: true }
}

/** @returns undefined when it is done */
async function retryOne(
  id: number,
  { store, clock, events, entryPoints }: RetrySurroundings,
  skipped: () => void,
): Promise<Kept | undefined> {
  try {
    const letter = await store.get(id)
    if (letter === undefined) return notTried('there is no such dead letter')
    const { endpoint } = letter
    const points = entryPoints().get(endpoint)
    if (points === undefined) {
      return { ...notTried(`there is no endpoint ${endpoint} in the configuration any more`), elsewhere: true }
    }
    const entry = entryOf(letter, points, clock)
    if (typeof entry === 'string') return notTried(entry)
    const { counters } = points
    const source = mutedSource(entry.message.source, () => {
      counters.repliesLost++
      skipped()
    })
    const message = withCause(entry.message, letter).from(source)
    const again = store.begin(letter, source)
    const failures = new FailureList()
    if (entry.error !== undefined) failures.add(message, entry.error, letter.step)
    else await run(entry.flow, message, failures, letter.step)
    for (const { message, error, step } of failures.entries) {
      countReason(counters.failed, error.code)
      events.emit('message.failed', { message, error, step: step || 'the format', outcome: 'dead letter' })
    }
    // Only what failed in the very step, behind whose buffer it was, is still behind it.
    await store.settle(
      letter,
      failures.entries.map((failed) => ({ ...failed, passed: letter.passed && failed.step === letter.step })),
    )
    const [failed] = failures.entries
    if (failed !== undefined) return failedAgain(failed.error)
    return again.length === 0 ? undefined : { reason: `kept again as dead letter ${again.join(', ')}`, tried: true }
  } catch (thrown) {
    return failedAgain(toSluiceError(thrown, 'internal'))
  }
}

async function run(flow: Dataflow, message: Message, failures: FailureList, step: string): Promise<void> {
  try {
    await flow.run(Batch.of([message]), failures)
  } catch (thrown) {
    if (failures.entries.length === 0) failures.add(message, toSluiceError(thrown, 'internal'), step)
  }
}

/** A message and its way. */
interface Entry {
  readonly message: Message
  readonly flow: Dataflow
  /** It cannot go that way: its format refuses it again. */
  readonly error?: SluiceError
}

/** @returns why it cannot be retried */
function entryOf(letter: StoredDeadLetter, points: EntryPoints, clock: Clock): Entry | string {
  const { packed, step, passed, code } = letter
  if (packed === null) {
    return letter.key === ''
      ? 'an older version of Sluice has kept it, without what a retry needs'
      : 'it holds a value that could not be stored'
  }
  const { batch, failed } = unpackBatch(packed, () => points.format, clock)
  const message = batch.messages[0] ?? failed[0]!.message
  if (step === '') return parsedAgain(letter, message, points)
  // Once kept on purpose, it has finished for what is around that step, however often it fails afterwards.
  const settled = (message.error?.code ?? code) === 'kept_by_step'
  const flow = points.at(step, { passed, settled })
  if (typeof flow === 'string') return flow
  return failed[0] === undefined ? { message, flow } : { message, flow, error: failed[0].error }
}

/** A frame that was rejected begins at the format. */
function parsedAgain({ code }: StoredDeadLetter, message: Message, { format, dataflow }: EntryPoints): Entry | string {
  if (INCOMPLETE.has(code)) return `it is no whole frame (${code})`
  if (dataflow === undefined || message.event !== 'message') return 'it has no dataflow to go through'
  const { raw } = message
  try {
    return { message: message.with(format.parse(raw, 0, raw.length)), flow: dataflow }
  } catch (thrown) {
    return { message, flow: dataflow, error: toSluiceError(thrown, 'format_invalid') }
  }
}

/** What is delivered must not be a part of what was sent. */
const INCOMPLETE: ReadonlySet<string> = new Set(['frame_truncated', 'frame_too_long', 'frame_timeout'])

function withCause(message: Message, { reason, code, step }: StoredDeadLetter): Message {
  return message.withError(message.error ?? { message: reason, code, step, retryable: false })
}
