import { Batch } from '../contracts/batch.ts'
import type { Dataflow, Failures } from '../contracts/dataflow.ts'
import type { Message } from '../contracts/message.ts'

/** The same dataflow, but each message goes through all of it before the next begins. */
export function oneByOne(dataflow: Dataflow): Dataflow {
  function runFrom(batch: Batch, from: number, passed: Message[], failures: Failures): Batch | Promise<Batch> {
    for (let i = from; i < batch.length; i++) {
      const result = dataflow.run(Batch.of([batch.messages[i]!]), failures)
      if (result instanceof Promise) {
        return result.then((one) => {
          passed.push(...one.messages)
          return runFrom(batch, i + 1, passed, failures)
        })
      }
      passed.push(...result.messages)
    }
    return Batch.of(passed)
  }
  return {
    run: (batch, failures) => (batch.length === 1 ? dataflow.run(batch, failures) : runFrom(batch, 0, [], failures)),
  }
}
