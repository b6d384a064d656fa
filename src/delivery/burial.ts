import type { DeadLetters } from '../contracts/context.ts'
import { countReason, type EndpointCounters } from '../contracts/counters.ts'
import { toSluiceError } from '../contracts/errors.ts'
import type { Events } from '../contracts/events.ts'
import type { DataflowHooks, Failure } from '../contracts/failure.ts'

/** The store of dead letters as the parts and connections of one endpoint use it: what is kept is counted and told. */
export function countDeadLetters(deadLetters: DeadLetters, counters: EndpointCounters, events: Events): DeadLetters {
  return {
    async add(message, error, step, over) {
      const id = await deadLetters.add(message, error, step, over)
      countReason(counters.deadLetters, error.code)
      events.emit('deadLetter.stored', { id, message, error })
      return id
    },
  }
}

/** Keeps a failed message as a dead letter. When even that fails, an event with the message is all that is left of it. */
export function createBurial(
  deadLetters: DeadLetters,
  counters: EndpointCounters,
  events: Events,
): (failure: Failure) => Promise<void> {
  const tell = createDeathNotice(counters, events)
  return async (failure) => {
    const { message, error, step } = failure
    tell(failure)
    try {
      await deadLetters.add(message, error, step)
    } catch (thrown) {
      events.emit('deadLetter.lost', { message, error, cause: toSluiceError(thrown, 'storage_failed') })
    }
  }
}

/** Counts and tells that a message is going to be a dead letter. */
export function createDeathNotice(counters: EndpointCounters, events: Events): (failure: Failure) => void {
  return ({ message, error, step }) => {
    // A frame that was rejected has been told of already.
    if (step === '') return
    countReason(counters.failed, error.code)
    events.emit('message.failed', { message, error, step, outcome: 'dead letter' })
  }
}

/** What the dataflows of an endpoint count and tell. */
export function createHooks(counters: EndpointCounters, events: Events): DataflowHooks {
  return {
    dropped(count) {
      counters.dropped += count
    },
    handled(message, error, step) {
      // A frame that was rejected has been told of already.
      if (step === '') return
      countReason(counters.failed, error.code)
      events.emit('message.failed', { message, error, step, outcome: 'handled' })
    },
  }
}
