import { SluiceError } from '../contracts/errors.ts'
import { networkProblem, tlsProblem, unavailable } from './network-error.ts'

/**
 * The five characters with which the server classifies an error; undefined for an error that is not the server's.
 * @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function sqlStateOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error) || !('severity' in error)) return undefined
  return typeof error.code === 'string' && /^[0-9A-Z]{5}$/.test(error.code) ? error.code : undefined
}

/** Errors that say nothing of what was asked: the same statement may succeed later. */
const LATER = /^(?:08|53|58)|^40(?!002)|^57(?!P04)|^(?:55P03|55006|25006|25P0[34]|26000)$/

/** Errors of the table as it is now, or of our rights: all rows meet them alike. 42501 may be about one row (row security). */
const ABOUT_TABLE = /^(?:42(?!501)|3F|0A)/

/** Whether an error would meet any row of the table. */
export function isAboutTable(error: unknown): boolean {
  return ABOUT_TABLE.test(sqlStateOf(error) ?? '')
}

/**
 * What may succeed later, as `sink_unavailable`, retryable: the connection broke, or the server cannot do it now.
 * @returns undefined for an error that is the last word
 */
export function passingError(thrown: unknown, where: string): SluiceError | undefined {
  const state = sqlStateOf(thrown)
  if (state === undefined) return unavailable(connectionProblem(thrown, where), thrown)
  const message = messageOf(thrown)
  if (state === '57014')
    return unavailable(`the statement took longer than the server may take for it: ${message}`, thrown)
  return LATER.test(state) ? unavailable(`the server cannot do it now: ${message}`, thrown) : undefined
}

/**
 * What an attempt to connect has met, as `sink_unavailable`: not retryable for wrong credentials and the like, which a
 * person has to correct; retryable for a server that is not there.
 */
export function toConnectError(thrown: unknown, where: string): SluiceError {
  if (thrown instanceof SluiceError) return thrown
  const state = sqlStateOf(thrown)
  const message = messageOf(thrown)
  const refused = (text: string, hint: string) => new SluiceError('sink_unavailable', text, { cause: thrown, hint })
  if (state !== undefined && /^(?:28|3D|42501)/.test(state)) {
    const hint = 'Correct user, password and database, or what pg_hba.conf allows.'
    return refused(`${where} does not let us in: ${message}`, hint)
  }
  if (state !== undefined) return unavailable(`${where} takes no connection: ${message}`, thrown)
  if (message.startsWith('SASL')) {
    const hint = 'Give the option password, such as password: ${env.DB_PASSWORD}.'
    return refused(`${where} asks for a password, and there is none`, hint)
  }
  if (message.includes('does not support SSL')) {
    return refused(`${where} does not speak TLS`, 'Take out tls, or turn on ssl in the server.')
  }
  const tls = tlsProblem(thrown, where)
  return tls === undefined ? unavailable(connectionProblem(thrown, where), thrown) : refused(tls.message, tls.hint)
}

/** There was no answer in time. @param timeout with its unit */
export function timedOut(where: string, timeout: string): SluiceError {
  return unavailable(`${where} did not answer within ${timeout}`)
}

/** What was thrown, in its own words. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/** A defect, ours or that of pg, is no loss of a connection that passes without a word. */
function connectionProblem(thrown: unknown, where: string): string {
  const reason = thrown instanceof TypeError ? `: ${thrown.message}` : ''
  return networkProblem(thrown, where) ?? `the connection to ${where} was lost${reason}`
}
