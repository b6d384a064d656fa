import { messageOf, passingError, sqlStateOf } from '../brokers/postgres-errors.ts'
import { SluiceError } from '../contracts/errors.ts'

/** What a failed batch means: a broken connection and the like is retryable, everything else is the last word. */
export function toDeliveryError(thrown: unknown, where: string): SluiceError {
  if (thrown instanceof SluiceError) return thrown
  const passing = passingError(thrown, where)
  if (passing !== undefined) return passing
  const hint = hintFor(sqlStateOf(thrown))
  return new SluiceError('sink_failed', `the table refuses the row: ${messageOf(thrown)}`, {
    cause: thrown,
    ...(hint === undefined ? {} : { hint }),
  })
}

function hintFor(state: string | undefined): string | undefined {
  if (state === '23505') return 'For messages that may come twice write onConflict: ignore, or onConflict: update.'
  if (state === '42P10') return 'Name under conflict exactly the columns of a PRIMARY KEY or UNIQUE rule.'
  if (state === '42501') return 'GRANT INSERT on the table to the user; onConflict: update needs SELECT and UPDATE too.'
  return undefined
}
