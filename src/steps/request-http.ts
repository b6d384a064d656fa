import { readTls, type TlsSettings } from '../brokers/client-tls.ts'
import { Addresses, checkHttpAddress, httpAddress, maskSecrets, showUrl } from '../brokers/http-address.ts'
import { judge } from '../brokers/http-answer.ts'
import { type HttpAnswer, HttpClient } from '../brokers/http-client.ts'
import { contentText } from '../contracts/codec.ts'
import type { PartContext } from '../contracts/context.ts'
import type { CheckContext, OptionProblem } from '../contracts/define.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Format } from '../contracts/format.ts'
import type { Message } from '../contracts/message.ts'
import { formatOption, size, z } from '../contracts/schema.ts'
import { formatSize } from '../util/units.ts'
import type { Payload } from './payload.ts'

/** What `to: { http: … }` may hold. */
export const httpTarget = z.strictObject({
  ...httpAddress,
  method: z
    .enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])
    .optional()
    .describe('Method of the request. Default: POST with text, value or raw, else GET.'),
  format: formatOption()
    .optional()
    .describe(
      'How value is written and the answer is read. Default: JSON, and an answer as its Content-Type says: JSON, text, else bytes.',
    ),
  success: z
    .array(z.union([z.literal('2xx'), z.int().min(100).max(599)]))
    .min(1)
    .default(['2xx'])
    .describe(
      'Statuses of answers to go on with, such as `[2xx, 404]`. After any other the message fails. Default: [2xx].',
    ),
  maxAnswer: size()
    .prefault('1MiB')
    .describe('Most bytes of an answer; a longer one fails the message. Default: 1MiB.'),
})

type HttpTarget = z.output<typeof httpTarget>

/** Mistakes in the options, with the place where they stand. */
export function checkHttpTarget(target: HttpTarget, context: CheckContext): OptionProblem[] {
  return checkHttpAddress(target, context).map((one) => ({ ...one, path: ['to', 'http', ...one.path] }))
}

/** Asks a web server, one question after the other. */
export class HttpAsker {
  readonly #target: HttpTarget
  readonly #context: PartContext
  readonly #client: HttpClient
  readonly #addresses: Addresses
  readonly #payload: Payload | undefined
  readonly #timeout: number
  readonly #abort = (): void => this.#client.close()

  /** @param payload what is sent; undefined for nothing */
  constructor(target: HttpTarget, payload: Payload | undefined, timeout: number, context: PartContext) {
    const tls: TlsSettings | undefined = readTls(target.tls ?? false, context.resolvePath)
    this.#target = target
    this.#context = context
    this.#client = new HttpClient(tls)
    this.#addresses = new Addresses(target)
    this.#payload = payload
    this.#timeout = timeout
    context.signal.addEventListener('abort', this.#abort)
  }

  /**
   * @param over aborted when the message has failed already: the question is given up
   * @returns the value of the answer; null where it has no content
   * @throws SluiceError `request_failed`
   */
  async ask(message: Message, over?: AbortSignal): Promise<unknown> {
    const { method = this.#payload === undefined ? 'GET' : 'POST', success, maxAnswer } = this.#target
    try {
      const { url, headers } = this.#addresses.of(message)
      const { body, type } = this.#write(message)
      const answer = await this.#client.send({
        url,
        method,
        headers: { ...type, ...(IDEMPOTENT.has(method) ? {} : keyOf(message)), ...headers, ...lengthOf(body, method) },
        body,
        timeout: this.#timeout,
        keep: maxAnswer,
        once: !IDEMPOTENT.has(method),
        signal: over,
      })
      const where = showUrl(url, this.#target)
      const statuses = new Set(success.filter((one) => typeof one === 'number'))
      const safe = { ...answer, excerpt: maskSecrets(answer.excerpt, this.#target) }
      const { error } = judge(safe, { any2xx: success.includes('2xx'), statuses }, where, this.#context.clock.now())
      if (error !== undefined) throw error
      return this.#read(answer, where)
    } catch (thrown) {
      const { message: text, hint, retryable } = toSluiceError(thrown)
      throw new SluiceError('request_failed', text, { cause: thrown, retryable, ...(hint !== undefined && { hint }) })
    }
  }

  /** Ends the connections. */
  close(): void {
    this.#context.signal.removeEventListener('abort', this.#abort)
    this.#client.close()
  }

  #write(message: Message): { readonly body: Buffer; readonly type: Readonly<Record<string, string>> } {
    if (this.#payload === undefined) return { body: NOTHING, type: {} }
    const { kind, content } = this.#payload
    const value = content(message)
    if (kind === 'text')
      return { body: toBuffer(contentText(value)), type: { 'Content-Type': 'text/plain; charset=utf-8' } }
    if (kind === 'raw')
      return { body: toBuffer(contentText(value)), type: { 'Content-Type': 'application/octet-stream' } }
    const { format } = this.#target
    if (format !== undefined) return { body: toBuffer(format.print(value)), type: {} }
    const json = JSON.stringify(value)
    if (json === undefined) throw new SluiceError('request_failed', `a ${typeof value} cannot be written as JSON`)
    return { body: Buffer.from(json), type: { 'Content-Type': 'application/json' } }
  }

  #read({ body, contentType }: HttpAnswer, where: string): unknown {
    if (body === undefined) {
      const text = `${where} answered with more than ${formatSize(this.#target.maxAnswer)}`
      throw new SluiceError('request_failed', text, { hint: 'Raise maxAnswer.' })
    }
    if (body.length === 0) return null
    try {
      return parseAnswer(body, contentType, this.#target.format)
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw new SluiceError('request_failed', `the answer of ${where} cannot be read: ${reason}`, { cause })
    }
  }
}

/** Methods that may be sent twice without harm (RFC 9110, section 9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'PUT', 'DELETE'])

const NOTHING = Buffer.alloc(0)

/** A server that remembers it can tell a message that is tried again. */
function keyOf({ key }: Message): Record<string, string> {
  return /^[\x21-\x7e]{1,255}$/.test(key) ? { 'Idempotency-Key': key } : {}
}

/** A request without content says so only where content is expected (RFC 9110, section 8.6). */
function lengthOf({ length }: Buffer, method: string): Record<string, string> {
  return length === 0 && (method === 'GET' || method === 'DELETE') ? {} : { 'Content-Length': String(length) }
}

function toBuffer(content: string | Buffer): Buffer {
  return typeof content === 'string' ? Buffer.from(content) : content
}

/** By the format where there is one, else by the media type (RFC 6839 for `+json`). */
function parseAnswer(body: Buffer, contentType: string, format: Format | undefined): unknown {
  if (format !== undefined) return format.parse(body, 0, body.length)
  const [type = '', ...parameters] = contentType.split(';').map((part) => part.trim().toLowerCase())
  if (/^application\/json$|\+json$/.test(type)) return JSON.parse(body.toString())
  if (!type.startsWith('text/')) return body
  const charset = parameters
    .find((one) => one.startsWith('charset='))
    ?.slice('charset='.length)
    .replaceAll('"', '')
  return new TextDecoder(charset ?? 'utf-8', { fatal: true }).decode(body)
}
