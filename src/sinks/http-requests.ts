import { createHash } from 'node:crypto'
import { type Address, Addresses, isConstant } from '../brokers/http-address.ts'
import { jsonText } from '../brokers/json-text.ts'
import { type SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Format } from '../contracts/format.ts'
import type { Framing } from '../contracts/framing.ts'
import type { Message, Source } from '../contracts/message.ts'
import { ByteWriter } from '../util/byte-writer.ts'
import type { HttpOptions } from './http-options.ts'

/** Messages that go into one request, each written already. */
export interface Envelope {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** Where they stand in the batch. */
  readonly positions: readonly number[]
  readonly pieces: readonly (string | Buffer)[]
  readonly keys: readonly string[]
}

/** How messages are written. */
export interface Writing {
  readonly format: Format
  readonly lineFraming: Framing
}

/**
 * Makes requests of messages. What lies in one list is sent one after the other, lists side by side: without batches
 * each connection has a list, which keeps its order; with them each address has one, with one request.
 */
export class RequestMaker {
  readonly #options: HttpOptions
  readonly #writing: Writing
  readonly #isConstant: boolean
  readonly #addresses: Addresses

  constructor(options: HttpOptions, writing: Writing) {
    this.#options = options
    this.#writing = writing
    this.#isConstant = [options.url, ...Object.values(options.headers ?? {})].every(isConstant)
    this.#addresses = new Addresses(options)
  }

  /** @param outcomes gets the error of each message that cannot be sent */
  listsOf(messages: readonly Message[], outcomes: (SluiceError | undefined)[]): Envelope[][] {
    const lists = new Map<string | Source, Draft[]>()
    const isSingle = this.#options.batch === 'none'
    let common: Address | undefined
    for (let i = 0; i < messages.length; i++) {
      const message = messages[i]!
      try {
        const address = common ?? this.#addresses.of(message)
        if (this.#isConstant) common = address
        const piece = this.#print(message)
        const name = isSingle ? message.source : address.name
        const list = lists.get(name)
        const draft = isSingle ? undefined : list?.[0]
        if (draft === undefined) {
          const added: Draft = { address, example: message.msg, positions: [i], pieces: [piece], keys: [message.key] }
          if (list === undefined) lists.set(name, [added])
          else list.push(added)
        } else {
          draft.positions.push(i)
          draft.pieces.push(piece)
          draft.keys.push(message.key)
        }
      } catch (thrown) {
        outcomes[i] = toSluiceError(thrown, 'sink_failed')
      }
    }
    return [...lists.values()].map((drafts) => drafts.map((draft) => this.#finish(draft)))
  }

  /** The bytes of a request. */
  bodyOf({ pieces }: Envelope): Buffer {
    if (this.#options.batch === 'array') return Buffer.from(`[${pieces.join(',')}]`, 'utf8')
    const out = new ByteWriter()
    for (const piece of pieces) out.write(piece)
    return out.take()
  }

  #finish({ address: { url, headers }, example, positions, pieces, keys }: Draft): Envelope {
    const type = contentType(this.#options.batch, example)
    return { url, headers: { 'Content-Type': type, ...headers }, positions, pieces, keys }
  }

  #print(message: Message): string | Buffer {
    const { format, lineFraming } = this.#writing
    if (this.#options.batch === 'array') return jsonText(message.msg)
    const content = message.verbatim === format ? message.raw : format.print(message.msg)
    if (this.#options.batch === 'none') return content
    const line = new ByteWriter()
    lineFraming.encode(content, line)
    return line.takePiece()
  }
}

/**
 * The same for the same messages, whenever they are sent again: the key of the message, or a hash where it has
 * characters that a header cannot have. Several messages have the hash of all their keys, in order.
 */
export function idempotencyKey(keys: readonly string[]): string {
  const [first = ''] = keys
  if (keys.length === 1 && /^[\x21-\x7e]{1,255}$/.test(first)) return first
  return createHash('sha256').update(JSON.stringify(keys)).digest('hex')
}

interface Draft {
  readonly address: Address
  /** One of the values; the others are of the same kind unless somebody mixes them. */
  readonly example: unknown
  readonly positions: number[]
  readonly pieces: (string | Buffer)[]
  readonly keys: string[]
}

/** What a value is says what it looks like when it is written, unless a header says otherwise. */
function contentType(batch: HttpOptions['batch'], value: unknown): string {
  if (batch === 'array') return 'application/json'
  if (typeof value === 'string') return 'text/plain; charset=utf-8'
  if (value instanceof Uint8Array) return 'application/octet-stream'
  return batch === 'lines' ? 'application/x-ndjson' : 'application/json'
}
