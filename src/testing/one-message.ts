import type { SubscriptionDefinition } from '../contracts/define.ts'
import type { Delivery } from '../contracts/subscription.ts'

/** A subscription that stands in for another: its broker has one message. */
export interface OneMessage {
  readonly definition: SubscriptionDefinition
  /** What was answered. */
  readonly replies: readonly Buffer[]
}

/** Stands in for a subscription with a broker that has one message, and that keeps the answers. */
export function oneMessage(definition: SubscriptionDefinition, payload: Buffer, topic: string): OneMessage {
  const replies: Buffer[] = []
  const delivery: Delivery = {
    payload,
    topic,
    id: '1',
    reply: (answer) => replies.push(answer) > 0,
    settle() {},
  }
  const create: SubscriptionDefinition['create'] = () => ({
    start(receiver) {
      receiver.opened({ ip: '127.0.0.1', port: 0 })
      receiver.take([delivery])
    },
    stop: () => Promise.resolve(),
    close: () => Promise.resolve(),
  })
  return { definition: { ...definition, create }, replies }
}
