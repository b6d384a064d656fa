import { SluiceError } from '../contracts/errors.ts'
import type { HttpAnswer } from './http-client.ts'

/** What an answer means for the messages of its request. */
export interface Verdict {
  /** Undefined when the server has taken them. */
  readonly error?: SluiceError
  /** The refusal may be about one of several messages, or about how many they are. */
  readonly mayBeOne?: boolean
}

/**
 * @param success statuses that confirm, besides 2xx where `any2xx`
 * @param where the server and as much of the address as may be shown
 * @param now milliseconds since 1970, for a Retry-After that is a date
 */
export function judge(answer: HttpAnswer, success: Success, where: string, now: number): Verdict {
  const { status, statusText, excerpt } = answer
  if (success.statuses.has(status) || (success.any2xx && status >= 200 && status < 300)) return {}
  const said = `${where} answered ${[status, statusText].join(' ').trim()}${excerpt === '' ? '' : `: ${excerpt}`}`
  if (LATER.has(status) || status >= 500) {
    const retryAfter = readRetryAfter(answer.retryAfter, now)
    return { error: new SluiceError('sink_unavailable', said, { retryable: true, retryAfter }) }
  }
  if (REDIRECTS.has(status)) {
    const hint = 'Write the address that it redirects to as url; redirects are not followed.'
    return {
      error: new SluiceError('sink_failed', `${where} redirects elsewhere (${status})${target(answer)}`, { hint }),
    }
  }
  const hint = hintFor(status)
  return {
    error: new SluiceError('sink_failed', said, hint === undefined ? {} : { hint }),
    mayBeOne: ABOUT_CONTENT.has(status),
  }
}

/** Which statuses confirm. */
export interface Success {
  readonly any2xx: boolean
  readonly statuses: ReadonlySet<number>
}

/** Request timeout, too early, too many requests. */
const LATER: ReadonlySet<number> = new Set([408, 425, 429])

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** Bad request, conflict, content too large, unprocessable content. Others would meet every message alike. */
const ABOUT_CONTENT: ReadonlySet<number> = new Set([400, 409, 413, 422])

/**
 * How long a server asks us to wait, in milliseconds: a number of seconds or a date (RFC 9110, section 10.2.3). What is
 * neither, is ignored.
 */
export function readRetryAfter(text: string | undefined, now: number): number {
  const value = text?.trim() ?? ''
  if (/^\d+$/.test(value)) return Math.min(Number(value) * 1000, LONGEST_WAIT)
  if (!/^[A-Z][a-z]{2,8}[ ,]/.test(value)) return 0
  // The oldest of the three forms of a date does not name its zone, which is always GMT (section 5.6.7).
  const time = Date.parse(value.endsWith('GMT') ? value : `${value} GMT`)
  return Number.isNaN(time) ? 0 : Math.min(Math.max(0, time - now), LONGEST_WAIT)
}

/** A day: whoever asks for more is not taken at its word. */
const LONGEST_WAIT = 24 * 3_600_000

/** Without the query, which may hold a secret of theirs. */
function target({ location }: HttpAnswer): string {
  const url = location === undefined ? null : URL.parse(location)
  return url === null ? '' : `: to ${url.origin}`
}

function hintFor(status: number): string | undefined {
  if (status === 401 || status === 403) return 'Correct bearer, user and password, or the header with the credentials.'
  if (status === 404) return 'Correct the path in url.'
  if (status === 413) return 'Lower maxBatch, or send less in a message.'
  if (status === 415) return 'Write a header Content-Type that the server knows, or another format.'
  return undefined
}
