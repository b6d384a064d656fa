import { type SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'

/** A row: the names of its columns, and their values. */
export type Row = Readonly<Record<string, unknown>>

/** A database that the step asks. */
export interface AskedDatabase {
  /** How many questions of a batch are asked at a time. */
  readonly width: number
  /** Asks once. @throws SluiceError */
  ask(params: readonly unknown[]): Promise<readonly Row[]>
  /** Whether an error says that nothing can be asked now, so that the next question would only meet it again. */
  isDown(error: SluiceError): boolean
  close(): Promise<void>
}

/**
 * Asks for each message of a batch, so many at a time. When the database is down, those that have not been asked yet fail
 * with the others: each would wait as long for nothing.
 * @param over aborted when the messages have failed already: no more are asked
 * @returns for each message what `ask` gave, or its error
 */
export async function askEach(
  messages: readonly Message[],
  { width, isDown }: Pick<AskedDatabase, 'width' | 'isDown'>,
  ask: (message: Message) => Promise<Message>,
  over?: AbortSignal,
): Promise<(Message | SluiceError)[]> {
  const outcomes = new Array<Message | SluiceError>(messages.length)
  let down: SluiceError | undefined
  let next = 0
  const askOnes = async () => {
    while (next < messages.length) {
      const i = next++
      if (over?.aborted) down ??= toSluiceError(over.reason, 'step_timeout')
      try {
        outcomes[i] = down ?? (await ask(messages[i]!))
      } catch (thrown) {
        const error = toSluiceError(thrown)
        outcomes[i] = error
        if (isDown(error)) down = error
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, messages.length) }, askOnes))
  return outcomes
}
