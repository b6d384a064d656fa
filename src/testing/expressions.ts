import type { Message } from '../contracts/message.ts'
import type { Expression } from '../contracts/schema.ts'

/**
 * A function as the compiled expression that a part receives, for tests of a part without a configuration.
 * @param source what the expression is written as; `msg` makes it one that gives the value of the message unchanged
 */
export function createExpression<T>(evaluate: (message: Message) => T, source = ''): Expression<T> {
  return Object.assign((message: Message) => evaluate(message), { source, isMessage: source === 'msg' })
}

/** The expression `msg`. */
export const messageExpression: Expression = createExpression(({ msg }) => msg, 'msg')
