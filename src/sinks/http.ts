import { readTls } from '../brokers/client-tls.ts'
import { checkHttpAddress, maskSecrets, showUrl } from '../brokers/http-address.ts'
import { judge, type Success, type Verdict } from '../brokers/http-answer.ts'
import { HttpClient } from '../brokers/http-client.ts'
import type { Batch } from '../contracts/batch.ts'
import type { PartContext, Shared } from '../contracts/context.ts'
import { defineSink } from '../contracts/define.ts'
import { type SluiceError, toSluiceError } from '../contracts/errors.ts'
import { type Batching, givenUp, type Outcomes, type Sink } from '../contracts/sink.ts'
import { Slots } from '../util/slots.ts'
import { type HttpOptions, httpOptions } from './http-options.ts'
import { type Envelope, idempotencyKey, RequestMaker } from './http-requests.ts'
import { OpenWrites } from './open-writes.ts'

/** Sends messages to a web server. */
export const http = defineSink({
  name: 'http',
  summary: 'Sends messages to a web server (HTTP or HTTPS).',
  details: [
    'A message is confirmed when the whole answer has come and its status is in `success`. After 408, 425, 429 and 5xx, or ' +
      'without an answer, it is sent again as `retry` says, and not before the time in `Retry-After`. After any other status it ' +
      'has failed for good. The error holds the status and the first 200 characters of the answer.',
    'With `batch: none` the messages of one connection are sent one after the other, those of several connections side by ' +
      'side: at most `maxInFlight` requests at once. With `array` and `lines` those of many connections share a request, one for ' +
      'each url and set of headers. When the server answers 400, 409, 413 or 422 to several messages, their halves are ' +
      'sent apart, so that one bad message fails alone.',
    'Each request has the header `Idempotency-Key`: the key of the message, the same whenever it is sent again; for several ' +
      'messages a hash of all their keys. A server that remembers it can drop what comes twice, as it does when an answer is lost. ' +
      'A header of that name under `headers` replaces it.',
    'Content-Type follows the value: `application/json` for objects, lists and numbers (`application/x-ndjson` with `lines`), ' +
      '`text/plain` for text, `application/octet-stream` for bytes; a header Content-Type says otherwise. Redirects are not ' +
      'followed. Connections are kept and used again; the first one is made for the first message.',
  ].join('\n\n'),
  alsoCalled: ['https', 'webhook', 'rest', 'post', 'web'],
  options: httpOptions,
  short: 'url',
  examples: [
    { title: 'One request for each message', config: { http: 'https://api.example.com/scans' } },
    {
      title: 'An address for each device, with a token',
      config: {
        http: {
          url: 'https://api.example.com/devices/${msg.device}/readings',
          bearer: '${env.API_TOKEN}',
          headers: { 'X-Received': '${received}' },
        },
      },
    },
    {
      title: 'Many messages in one request',
      config: { http: { url: 'https://logs.example.com/in', batch: 'lines', maxBatch: 1000, maxWait: '200ms' } },
    },
  ],
  confirms: () => 'accepted',
  finished: 'the server has answered 2xx',
  batching: { maxBatch: 100, maxInFlight: 8 },
  check: checkHttpAddress,
  create(options, context) {
    const nodeTls = readTls(options.tls ?? false, context.resolvePath)
    const shared = context.share(`http ${JSON.stringify(nodeTls ?? {})}`, () => new HttpClient(nodeTls))
    return new HttpSink(shared, options, context)
  },
})

class HttpSink implements Sink {
  readonly #shared: Shared<HttpClient>
  readonly #options: HttpOptions
  readonly #context: PartContext
  readonly #requests: RequestMaker
  readonly #success: Success
  readonly #slots: Slots
  readonly #writes = new OpenWrites()
  readonly #abort = (): void => this.#shared.value.close()

  constructor(shared: Shared<HttpClient>, options: HttpOptions & Partial<Batching>, context: PartContext) {
    const { success, format = context.codec.format, maxInFlight = 1 } = options
    this.#shared = shared
    this.#options = options
    this.#context = context
    this.#requests = new RequestMaker(options, { format, lineFraming: context.lineFraming })
    const statuses = success.filter((one) => typeof one === 'number')
    this.#success = { any2xx: success.includes('2xx'), statuses: new Set(statuses) }
    this.#slots = new Slots(maxInFlight)
    context.signal.addEventListener('abort', this.#abort)
  }

  write(batch: Batch, over?: AbortSignal): Promise<void | Outcomes> {
    return this.#writes.run(() => this.#write(batch, over))
  }

  close(): Promise<void> {
    return this.#writes.close(() => {
      this.#context.signal.removeEventListener('abort', this.#abort)
      return this.#shared.release()
    })
  }

  async #write({ messages }: Batch, over: AbortSignal | undefined): Promise<void | Outcomes> {
    const outcomes = new Array<SluiceError | undefined>(messages.length).fill(undefined)
    const lists = this.#requests.listsOf(messages, outcomes)
    await Promise.all(lists.map((list) => this.#sendList(list, outcomes, over)))
    const [first] = outcomes
    if (first?.retryable && outcomes.every((error) => error?.retryable)) throw first
    return outcomes.some((error) => error !== undefined) ? outcomes : undefined
  }

  /** One after the other. What follows a message that has to wait, waits too. */
  async #sendList(
    list: readonly Envelope[],
    outcomes: (SluiceError | undefined)[],
    over: AbortSignal | undefined,
  ): Promise<void> {
    const left = [...list]
    for (let envelope = left.shift(); envelope !== undefined; envelope = left.shift()) {
      const { error, mayBeOne } = await this.#send(envelope, over)
      if (error === undefined) continue
      if (mayBeOne && envelope.positions.length > 1) {
        left.unshift(...this.#requests.halvesOf(envelope, outcomes))
        continue
      }
      for (const { positions } of error.retryable ? [envelope, ...left.splice(0)] : [envelope]) {
        for (const position of positions) outcomes[position] = error
      }
    }
  }

  async #send(envelope: Envelope, over: AbortSignal | undefined): Promise<Verdict> {
    const { address, headers, messages, body } = envelope
    const { method, timeout } = this.#options
    const { url } = address
    const isMine = await this.#slots.take(over).then(
      () => true,
      () => false,
    )
    if (!isMine) return { error: givenUp() }
    try {
      const all = { 'Idempotency-Key': idempotencyKey(messages), ...headers, 'Content-Length': String(body.length) }
      const answer = await this.#shared.value.send({ url, method, timeout, body, headers: all })
      if (answer.isSent) this.#requests.sent(envelope)
      const safe = { ...answer, excerpt: maskSecrets(answer.excerpt, this.#options) }
      return judge(safe, this.#success, showUrl(url, this.#options), this.#context.clock.now())
    } catch (thrown) {
      return { error: toSluiceError(thrown, 'sink_failed') }
    } finally {
      this.#slots.give()
    }
  }
}
