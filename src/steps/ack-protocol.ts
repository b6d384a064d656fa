import type { PayloadKind } from '../contracts/client.ts'
import type { Clock } from '../contracts/clock.ts'
import type { Message } from '../contracts/message.ts'

/** How a protocol acknowledges a message. */
export interface AckProtocol {
  /** What is sent, for `sluice check`: "HL7 (AA; what failed: AE or AR)". */
  readonly words: string
  /** It has the options `code` and `text`. */
  readonly takesCode?: boolean
  /**
   * @param message to be acknowledged; it has failed where it has an `error`
   * @throws SluiceError when nothing in the message can be acknowledged
   */
  answer(message: Message, choice: AckChoice, clock: Clock): Ack
}

/** What the user has chosen, where the protocol leaves a choice. */
export interface AckChoice {
  /** Undefined: as the protocol says. */
  readonly code: string | undefined
  /** Why, in words; undefined: what has failed. */
  readonly text: string | undefined
}

/** An acknowledgement, ready to be sent. */
export interface Ack {
  readonly kind: PayloadKind
  readonly content: Buffer
}
