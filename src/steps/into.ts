import type { Message } from '../contracts/message.ts'
import { z } from '../contracts/schema.ts'
import { isPlainObject } from '../util/plain-object.ts'

/** A key of `msg` that a step writes. */
export const keyName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected a name, such as answer')

/** The option with which a step that finds something out says where it goes. */
export const intoOption = keyName
  .optional()
  .describe('The key of `msg` that takes the result; the rest of `msg` stays. Without it the result is the new `msg`.')

/** The message with a result where `into` says. A `msg` that is no object becomes `msg.value` beside it. */
export function withResult(message: Message, into: string | undefined, result: unknown): Message {
  if (into === undefined) return message.with(result)
  const { msg } = message
  return message.with({ ...(isPlainObject(msg) ? msg : { value: msg }), [into]: result })
}
