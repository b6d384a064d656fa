import type { Batch } from '../contracts/batch.ts'
import type { SluiceError } from '../contracts/errors.ts'
import { givenUp, type Outcomes, type Sink } from '../contracts/sink.ts'

/**
 * Stands around a sink, for the sake of a `timeout` beside its step or beside one around it. When that is over, all messages
 * of the batch have failed and their sender may have been told so. What comes to the sink later is not delivered. What was
 * under way cannot be taken back: when it turns out to have been delivered, that is told of.
 * @param onLate is given how many messages of a write have failed and were delivered
 */
export function withLateDeliveries(sink: Sink, onLate: (messages: number) => void): Sink {
  const tell = (batch: Batch, outcomes: void | Outcomes) => {
    const delivered = outcomes === undefined ? batch.length : outcomes.filter((error) => error === undefined).length
    if (delivered > 0) onLate(delivered)
  }
  return {
    write(batch, over) {
      if (over === undefined) return sink.write(batch)
      if (over.aborted) return new Array<SluiceError>(batch.length).fill(givenUp())
      const written = sink.write(batch, over)
      if (!(written instanceof Promise)) return written
      return written.then((outcomes) => {
        if (over.aborted) tell(batch, outcomes)
        return outcomes
      })
    },
    close: () => sink.close(),
  }
}
