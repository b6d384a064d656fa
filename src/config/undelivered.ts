import type { DeadLetters } from '../contracts/context.ts'
import type { BufferCounters, EndpointCounters } from '../contracts/counters.ts'
import type { Dataflow } from '../contracts/dataflow.ts'
import { mutedSource } from '../contracts/detached-source.ts'
import type { Events } from '../contracts/events.ts'
import type { Failure } from '../contracts/failure.ts'
import type { Source } from '../contracts/message.ts'
import { countDeadLetters, createDeathNotice, createHooks } from '../delivery/burial.ts'
import type { Delivery, Undelivered } from '../delivery/deliverer.ts'
import { keepDeadLetter } from '../delivery/keep-dead-letter.ts'
import { settleFailures } from '../engine/stages.ts'

/** Where what could not be delivered from a buffer goes, and where it is counted. */
export interface Aftermath {
  readonly onError: Dataflow | undefined
  readonly counters: EndpointCounters
}

/**
 * Takes care of what could not be delivered: the `onError` of its endpoint, else a dead letter. Answers are skipped and
 * counted, for they have been sent. What is on disk stays there until its dead letter is stored. A message that was refused
 * is not given to another destination that a reload brings: an `onError` may have had it by then.
 * @param aftermath of an endpoint: those of a shared dataflow have one buffer
 */
export function createSettle(
  { step, events }: { readonly step: string; readonly events: Events },
  kind: BufferCounters['kind'],
  deadLetters: DeadLetters,
  aftermath: (endpoint: string) => Aftermath,
): Delivery['settle'] {
  return async (failed, until) => {
    let unkept: number | undefined
    const entries = new Map<Source, number>()
    const keep = async ({ message, error, step: at }: Failure, letters: DeadLetters): Promise<void> => {
      const cause = await keepDeadLetter(letters, message, error, at, until)
      if (cause === undefined) return
      const entry = entries.get(message.source.origin ?? message.source) ?? failed[0]!.entry
      unkept = Math.min(entry, unkept ?? entry)
      if (kind === 'memory') events.emit('deadLetter.lost', { message, error, cause })
    }
    const byEndpoint = Map.groupBy(failed, ({ message }) => message.endpoint)
    await Promise.all(
      Array.from(byEndpoint, ([endpoint, its]) => {
        const { onError, counters } = aftermath(endpoint)
        const tell = createDeathNotice(counters, events)
        const letters = countDeadLetters(deadLetters, counters, events)
        const settle = (some: typeof its, handler: Dataflow | undefined) =>
          settleFailures(
            behindBuffer(some, step, counters, entries),
            handler,
            createHooks(counters, events),
            (failure) => {
              tell(failure)
              return keep(failure, letters)
            },
          )
        // What has killed the process might do so in an onError too.
        const { deadly = [], others = [] } = Object.groupBy(its, ({ error }) =>
          error.code === 'process_died' ? 'deadly' : 'others',
        )
        return Promise.all([settle(deadly, undefined), settle(others, onError)])
      }),
    )
    return unkept
  }
}

/**
 * As failures of the step, from sources that know that the steps behind it have had the messages.
 * @param entries is told which entry of the buffer a source belongs to
 */
function behindBuffer(
  failed: readonly Undelivered[],
  step: string,
  counters: EndpointCounters,
  entries: Map<Source, number>,
): Failure[] {
  const skipped = () => {
    counters.repliesLost++
  }
  const sources = new Map<Source, Source>()
  return failed.map(({ message, error, entry }) => {
    const source = sources.get(message.source) ?? { ...mutedSource(message.source, skipped), buffer: step }
    sources.set(message.source, source)
    entries.set(source, entry)
    return { message: message.from(source), error, step }
  })
}
