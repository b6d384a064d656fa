import type { PartContext } from '../contracts/context.ts'
import { type SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'

/**
 * Keeps in the dead letters what has failed on a way of its own, where no connection hears of it. Never rejects.
 * @param where the way, for the log: "in the branch copy"
 */
export async function keepFailed(
  { deadLetters, log }: Pick<PartContext, 'deadLetters' | 'log'>,
  where: string,
  message: Message,
  error: SluiceError,
  step: string,
): Promise<void> {
  log('warn', `${step} failed ${where}: ${error.message}`, message)
  try {
    await deadLetters.add(message, error, step)
  } catch (thrown) {
    log('error', `the message is lost, because the dead letters failed: ${toSluiceError(thrown).message}`, message)
  }
}
