import { createHash } from 'node:crypto'
import { type Address, Addresses, isConstant } from '../brokers/http-address.ts'
import { jsonText } from '../brokers/json-text.ts'
import { Batch } from '../contracts/batch.ts'
import { type Encoding, encodeEach } from '../contracts/codec.ts'
import { type SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Format } from '../contracts/format.ts'
import type { Framing } from '../contracts/framing.ts'
import type { Message, Source } from '../contracts/message.ts'
import type { Outcomes } from '../contracts/sink.ts'
import { ByteWriter } from '../util/byte-writer.ts'
import { BodyMemory } from './http-bodies.ts'
import type { HttpOptions } from './http-options.ts'

/** Messages that go into one request. */
export interface Envelope {
  readonly address: Address
  readonly headers: Readonly<Record<string, string>>
  readonly messages: readonly Message[]
  /** Where they stand in the batch. */
  readonly positions: readonly number[]
  readonly body: Buffer
  /** What the body lies in, where it is to be used again; see {@link RequestMaker.sent}. */
  readonly memory: Buffer | undefined
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
  readonly #batch: HttpOptions['batch']
  readonly #encoding: Encoding
  readonly #isConstant: boolean
  readonly #addresses: Addresses
  readonly #bodies = new BodyMemory()

  constructor(options: HttpOptions, { format, lineFraming }: Writing) {
    this.#batch = options.batch
    this.#encoding = { format, framing: options.batch === 'lines' ? lineFraming : UNFRAMED }
    this.#isConstant = [options.url, ...Object.values(options.headers ?? {})].every(isConstant)
    this.#addresses = new Addresses(options)
  }

  /** @param outcomes gets the error of each message that cannot be sent */
  listsOf(messages: readonly Message[], outcomes: (SluiceError | undefined)[]): Envelope[][] {
    const lists = new Map<string | Source, Draft[]>()
    const isSingle = this.#batch === 'none'
    let common: Address | undefined
    for (let i = 0; i < messages.length; i++) {
      const message = messages[i]!
      try {
        const address = common ?? this.#addresses.of(message)
        if (this.#isConstant) common = address
        const name = isSingle ? message.source : address.name
        const list = lists.get(name)
        const draft = isSingle ? undefined : list?.[0]
        if (draft === undefined) {
          const added = { address, messages: [message], positions: [i] }
          if (list === undefined) lists.set(name, [added])
          else list.push(added)
        } else {
          draft.messages.push(message)
          draft.positions.push(i)
        }
      } catch (thrown) {
        outcomes[i] = toSluiceError(thrown, 'sink_failed')
      }
    }
    return [...lists.values()].map((drafts) => drafts.flatMap((draft) => this.#finish(draft, outcomes)))
  }

  /**
   * Two requests, with the first half of its messages and the others.
   * @param outcomes of the whole batch
   */
  halvesOf({ address, messages, positions }: Envelope, outcomes: (SluiceError | undefined)[]): Envelope[] {
    const middle = positions.length >> 1
    const part = (from: number, to: number) => {
      const draft = { address, messages: messages.slice(from, to), positions: positions.slice(from, to) }
      return this.#finish(draft, outcomes)
    }
    return [...part(0, middle), ...part(middle, positions.length)]
  }

  /** The system has taken the whole body of a request, which is used no more. */
  sent({ memory }: Envelope): void {
    if (memory !== undefined) this.#bodies.give(memory)
  }

  /** None when no message of it can be written. */
  #finish(draft: Draft, outcomes: (SluiceError | undefined)[]): Envelope[] {
    const { address } = draft
    const { body, memory, refused } = this.#print(draft.messages)
    if (refused !== undefined) for (const [i, position] of draft.positions.entries()) outcomes[position] = refused[i]
    const isWritten = (_: unknown, i: number) => refused?.[i] === undefined
    const messages = refused === undefined ? draft.messages : draft.messages.filter(isWritten)
    const positions = refused === undefined ? draft.positions : draft.positions.filter(isWritten)
    const [first] = messages
    if (first === undefined) return []
    const type = contentType(this.#batch, first.msg)
    return [{ address, headers: { 'Content-Type': type, ...address.headers }, messages, positions, body, memory }]
  }

  /** What can be written of them, and why the others cannot, if there are such. */
  #print(messages: readonly Message[]): Printed {
    if (this.#batch === 'array') return printArray(messages)
    const out = new ByteWriter()
    const refused = encodeEach(Batch.of(messages), this.#encoding, out)
    let memory: Buffer | undefined
    const body = out.takeInto((length) => {
      memory = this.#bodies.take(length)
      return memory
    })
    return { body, memory, refused }
  }
}

function printArray(messages: readonly Message[]): Printed {
  const texts: string[] = []
  const outcomes = messages.map(({ msg }) => {
    try {
      texts.push(jsonText(msg))
      return undefined
    } catch (thrown) {
      return toSluiceError(thrown, 'sink_failed')
    }
  })
  return {
    body: Buffer.from(`[${texts.join(',')}]`),
    memory: undefined,
    refused: texts.length < messages.length ? outcomes : undefined,
  }
}

/**
 * The same for the same messages, whenever they are sent again: the key of the message, or a hash where it has
 * characters that a header cannot have. Several messages have the hash of all that makes their keys, in order.
 */
export function idempotencyKey(messages: readonly Message[]): string {
  const [{ key } = { key: '' }] = messages
  if (messages.length === 1 && /^[\x21-\x7e]{1,255}$/.test(key)) return key
  return createHash('sha256')
    .update(JSON.stringify(messages.map(keyParts)))
    .digest('hex')
}

/** A key for each message would be as good, but V8 keeps the text of each new number for a while, until it has become old. */
function keyParts({ givenKey, part, source, sequence }: Message): readonly (string | number)[] {
  return givenKey === '' ? [source.boot, source.client.id, sequence, part] : [givenKey, part]
}

type Printed = Pick<Envelope, 'body' | 'memory'> & { readonly refused: Outcomes | undefined }

interface Draft {
  readonly address: Address
  readonly messages: Message[]
  readonly positions: number[]
}

/** One message is the whole body. */
const UNFRAMED: Encoding['framing'] = { encode: (payload, out) => out.write(payload) }

/** What a value is says what it looks like, unless a header says otherwise. The first stands for all of a request. */
function contentType(batch: HttpOptions['batch'], value: unknown): string {
  if (batch === 'array') return 'application/json'
  if (typeof value === 'string') return 'text/plain; charset=utf-8'
  if (value instanceof Uint8Array) return 'application/octet-stream'
  return batch === 'lines' ? 'application/x-ndjson' : 'application/json'
}
