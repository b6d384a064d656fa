import { Batch } from '../../src/contracts/batch.ts'
import type { Message, Source } from '../../src/contracts/message.ts'
import type { Expression } from '../../src/contracts/schema.ts'
import type { Sink } from '../../src/contracts/sink.ts'
import { createMessages, testSource } from '../../src/testing/part-context.ts'

/** An expression as `config/` would compile it. */
export function value(source: string, evaluate: (message: Message) => unknown): Expression {
  return Object.assign(evaluate, { source, isMessage: false })
}

export const whole = value('msg', ({ msg }) => msg)
export const field = (name: string) => value(`msg.${name}`, ({ msg }) => (msg as Record<string, unknown>)[name])

/** Values of any kind, also such as have no bytes that they could have been read from. */
export function batchOf(values: readonly unknown[], source: Source = testSource()): Batch {
  const messages = createMessages(
    values.map(() => null),
    { source },
  )
  return Batch.of(messages.map((message, i) => message.with(values[i])))
}

/** What became of each value: undefined for one that was delivered. */
export async function write(sink: Sink, values: readonly unknown[]): Promise<readonly (string | undefined)[]> {
  const outcomes = await sink.write(batchOf(values))
  return values.map((_, i) => outcomes?.[i]?.message)
}
