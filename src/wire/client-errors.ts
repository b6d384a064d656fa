import { SluiceError } from '../contracts/errors.ts'

/** A wait of a client was too long. @param hint what to do next */
export function timedOut(message: string, hint?: string): SluiceError {
  return new SluiceError('request_timeout', message, { retryable: true, ...(hint !== undefined && { hint }) })
}

/**
 * Nothing was sent, because the connection has ended.
 * @param cause why it has, if that was no clean end
 * @param retryable whether another one may follow it
 */
export function closed(cause?: SluiceError, retryable = false): SluiceError {
  const text = `the connection is closed${cause === undefined ? '' : `: ${cause.message}`}`
  return new SluiceError('connection_closed', text, { cause, retryable, hint: RECONNECT })
}

/** More is under way than may be. */
export function tooMany(maxPending: number): SluiceError {
  const text = `${maxPending} requests and sends are under way, and no more may be`
  const hint = 'Wait for answers before you send more, or raise maxPending.'
  return new SluiceError('too_many_pending', text, { retryable: true, hint })
}

/** It was sent, and the connection ended before the answer. @param why in words @param cause undefined for a clean end */
export function lost(why: string, cause?: SluiceError): SluiceError {
  const text = `the connection ended before the answer: ${why}`
  return new SluiceError('connection_lost', text, { cause, retryable: true, hint: UNCERTAIN })
}

const RECONNECT = 'Connect again; a connection with reconnect: true does so by itself.'

const UNCERTAIN =
  'The other side may have acted on it or not. Ask again only what may be done twice; idempotent: true does that by itself.'
