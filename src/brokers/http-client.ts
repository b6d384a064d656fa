import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { SluiceError } from '../contracts/errors.ts'
import { whenAborted } from '../util/signals.ts'
import { formatDuration } from '../util/units.ts'
import type { TlsSettings } from './client-tls.ts'
import { networkProblem, tlsProblem } from './network-error.ts'

/** One request, ready to be sent. */
export interface HttpRequest {
  readonly url: URL
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** Milliseconds until the whole answer must be there, connecting included. */
  readonly timeout: number
  /** Most bytes of the answer's body that are wanted. Default: none. */
  readonly keep?: number
  /**
   * It must reach the server at most once, so it gets a new connection: a kept one may be closed by the server while it is
   * used, and then nobody knows.
   */
  readonly once?: boolean
  /** Aborted when nobody waits for the answer any more: the request is given up, and its connection ends. */
  readonly signal?: AbortSignal | undefined
}

/** What a server has answered, as far as we look at it. */
export interface HttpAnswer extends ReadAnswer {
  /** The system has taken the whole request, so its body may change. A server may answer before that. */
  readonly isSent: boolean
}

interface ReadAnswer {
  readonly status: number
  readonly statusText: string
  readonly location: string | undefined
  readonly retryAfter: string | undefined
  readonly contentType: string
  /** The beginning of the body, on one line. */
  readonly excerpt: string
  /** The whole body; undefined when it is longer than was to be kept. */
  readonly body: Buffer | undefined
}

/**
 * Sends requests over connections that are kept for the next one. Nothing is queued, followed or tried again, except
 * where a kept connection turns out to have been closed at the moment at which it was used.
 */
export class HttpClient {
  readonly #http = new HttpAgent(AGENT)
  readonly #https: HttpsAgent
  readonly #tls: TlsSettings | undefined

  constructor(tls: TlsSettings | undefined) {
    this.#tls = tls
    this.#https = new HttpsAgent({ ...AGENT, ...tls })
  }

  /**
   * @returns what was answered, whatever the status
   * @throws SluiceError `sink_unavailable`: retryable when there was no whole answer, not when TLS cannot be agreed on
   */
  async send(request: HttpRequest): Promise<HttpAnswer> {
    const deadline = performance.now() + request.timeout
    const first = await this.#attempt(request, request.timeout)
    if (first !== 'stale') return first
    const second = await this.#attempt(request, Math.max(1, deadline - performance.now()))
    if (second !== 'stale') return second
    throw unavailable(`${request.url.host} has broken the connection`)
  }

  /** Ends all connections at once, also those in use. */
  close(): void {
    this.#http.destroy()
    this.#https.destroy()
  }

  #attempt(
    { url, method, headers, body, timeout, keep = 0, once = false, signal }: HttpRequest,
    left: number,
  ): Promise<HttpAnswer | 'stale'> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(givenUp())
      const isSecure = url.protocol === 'https:'
      const send = isSecure ? httpsRequest : httpRequest
      const kept = isSecure ? this.#https : this.#http
      const request = send(url, { method, headers, ...(once ? { ...this.#tls, agent: false } : { agent: kept }) })
      let ended: SluiceError | null = null
      const end = (error: SluiceError) => {
        ended = error
        request.destroy(error)
      }
      const timer = setTimeout(
        () => end(unavailable(`${url.host} did not answer within ${formatDuration(timeout)}`)),
        left,
      )
      const forget = signal && whenAborted(signal, () => end(givenUp()))
      const settle = (how: () => void) => {
        clearTimeout(timer)
        forget?.()
        how()
      }
      let answered = false
      request.on('response', (response) => {
        answered = true
        readAnswer(response, keep, (answer) => {
          settle(() => {
            if (answer === undefined) reject(requestError(ended, url))
            else resolve({ ...answer, isSent: request.writableFinished })
          })
        })
      })
      request.on('error', (error) => {
        // What breaks after the head of the answer has come is told by the answer.
        if (!answered) settle(() => (isStale(request, error) ? resolve('stale') : reject(requestError(error, url))))
      })
      request.end(body)
    })
  }
}

/** A connection may be idle for so long, in milliseconds: shorter than the memory of most firewalls. */
const IDLE_MS = 60_000

const AGENT = { keepAlive: true, timeout: IDLE_MS } as const

/** How much of a body is read, so that the connection can be kept. More than that costs the connection. */
const MAX_BODY = 64 * 1024

/** Characters of the body that a person gets to see. */
const EXCERPT = 200

/**
 * Reads an answer to its end.
 * @param keep most bytes of its body that are wanted
 * @param done called once; with undefined when an answer that says yes broke off, which is no confirmation
 */
function readAnswer(response: IncomingMessage, keep: number, done: (answer: ReadAnswer | undefined) => void): void {
  const { statusCode = 0, statusMessage = '', headers } = response
  const most = Math.max(keep, EXCERPT * 4)
  const head: Buffer[] = []
  let length = 0
  let isDone = false
  const finish = (isWhole: boolean) => {
    if (isDone) return
    isDone = true
    const bytes = Buffer.concat(head)
    const answer: ReadAnswer = {
      status: statusCode,
      statusText: statusMessage,
      location: headers.location,
      retryAfter: headers['retry-after'],
      contentType: headers['content-type'] ?? '',
      excerpt: showText(bytes.toString('utf8', 0, EXCERPT * 4)),
      body: length <= keep ? bytes : undefined,
    }
    done(isWhole || statusCode >= 300 ? answer : undefined)
  }
  response.on('data', (chunk: Buffer) => {
    // A character of UTF-8 has at most four bytes.
    if (length < most) head.push(chunk.subarray(0, most - length))
    length += chunk.length
    if (length <= Math.max(keep, MAX_BODY)) return
    finish(true)
    response.destroy()
  })
  response.on('end', () => finish(true))
  response.on('error', () => finish(false))
  response.on('close', () => finish(false))
}

function showText(text: string): string {
  const line = text.replaceAll(/[\s\p{Cc}]+/gu, ' ').trim()
  return line.length > EXCERPT ? `${line.slice(0, EXCERPT)}…` : line
}

/** The server closed a kept connection while we were about to use it: it has seen nothing of the request. */
function isStale(request: ClientRequest, error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException
  return request.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE')
}

function requestError(error: Error | null, url: URL): SluiceError {
  if (error instanceof SluiceError) return error
  const tls = tlsProblem(error, url.host)
  if (tls !== undefined) return new SluiceError('sink_unavailable', tls.message, { cause: error, hint: tls.hint })
  const { code } = (error ?? {}) as NodeJS.ErrnoException
  if (code?.startsWith('HPE_')) return unavailable(`${url.host} does not answer in HTTP`, error)
  return unavailable(networkProblem(error, url.host) ?? `${url.host} has broken the connection`, error)
}

function givenUp(): SluiceError {
  return unavailable('nobody waits for the answer any more')
}

function unavailable(message: string, cause?: unknown): SluiceError {
  return new SluiceError('sink_unavailable', message, { cause, retryable: true })
}
