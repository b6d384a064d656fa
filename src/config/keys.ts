import { Batch } from '../contracts/batch.ts'
import { contentText } from '../contracts/codec.ts'
import type { EndpointCounters } from '../contracts/counters.ts'
import type { Dataflow } from '../contracts/dataflow.ts'
import { toSluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import type { Expression } from '../contracts/schema.ts'

/**
 * Stands before the first step and gives each message the key by which it is known when it is sent again. One for which
 * `key` gives nothing keeps its own key and is counted; one for which it fails has failed. Events have no key.
 * @param id what is named as the step that failed
 */
export function withKeys(dataflow: Dataflow, key: Expression, id: string, counters: EndpointCounters): Dataflow {
  return {
    run(batch, failures) {
      const keyed: Message[] = []
      for (const message of batch.messages) {
        try {
          keyed.push(message.event === 'message' ? withKey(message, key(message), counters) : message)
        } catch (thrown) {
          failures.add(message, toSluiceError(thrown, 'expression_failed'), id)
        }
      }
      return dataflow.run(Batch.of(keyed), failures)
    },
  }
}

function withKey(message: Message, value: unknown, counters: EndpointCounters): Message {
  const content = contentText(value)
  const text = typeof content === 'string' ? content : content.toString('hex')
  if (text !== '') return message.withKey(text)
  counters.missingKeys++
  return message
}
