import type { SluiceError } from './errors.ts'
import type { Message } from './message.ts'

/** A message that failed. */
export interface Failure {
  readonly message: Message
  readonly error: SluiceError
  /** Id of the step; '' for framing and format. */
  readonly step: string
}

/** What a dataflow tells its endpoint. */
export interface DataflowHooks {
  dropped(count: number): void
  /** A message failed and an `onError` takes it. */
  handled(message: Message, error: SluiceError, step: string): void
}
