import type { Client, PayloadKind } from '../contracts/client.ts'
import {
  type CloseCause,
  type ConnectedClients,
  nobody,
  type Question,
  type RequestTarget,
  type SendResult,
  type SendTarget,
  severalOf,
} from '../contracts/clients.ts'
import { type Codec, encodeContent } from '../contracts/codec.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import type { Wait } from '../contracts/wait.ts'
import { ByteWriter } from '../util/byte-writer.ts'
import { withEither } from '../util/signals.ts'

/** What the directory does with a connection. */
export interface Reachable {
  /** @returns false when the connection is ending or too much waits for it already */
  send(bytes: Buffer): boolean
  wait(wait: Wait<Message>): Promise<Message>
  /** How many frames have arrived. */
  readonly received: number
  finish(reason: CloseCause, detail?: string): void
}

/** The polls of a client, as requests see them. */
export interface Polls {
  /**
   * Resolves when no poll waits for its answer.
   * @param signal aborted when nobody waits for that any more
   */
  over(signal: AbortSignal | undefined): Promise<void>
}

interface Entry {
  /** Settles when the last request that takes the next message has been answered. */
  answered: Promise<unknown>
  /** How many such requests have not been answered. */
  asking: number
  /** Where the client is polled. */
  polls: Polls | undefined
  readonly client: Client
  readonly connection: Reachable
  readonly codec: Codec
}

/** Who is connected to this process now, and the way to them: for steps, the library and the dashboard. */
export class Directory implements ConnectedClients {
  readonly #entries = new Map<string, Entry>()

  get size(): number {
    return this.#entries.size
  }

  add(client: Client, connection: Reachable, codec: Codec): void {
    const answered = Promise.resolve()
    this.#entries.set(client.id, { client, connection, codec, answered, asking: 0, polls: undefined })
  }

  /** Another client may have the id by now: a device that was called again before its last connection had ended. */
  remove(client: Client): void {
    if (this.#entries.get(client.id)?.client === client) this.#entries.delete(client.id)
  }

  /** Polls of a client and requests that take its next message wait for each other. */
  setPolls(client: Client, polls: Polls): void {
    const entry = this.#entries.get(client.id)
    if (entry?.client === client) entry.polls = polls
  }

  /** Whether a request takes the next message of a client, or waits for its turn to do so. */
  isAsked(client: Client): boolean {
    const entry = this.#entries.get(client.id)
    return entry?.client === client && entry.asking > 0
  }

  get(id: string): Client | undefined {
    return this.#entries.get(id)?.client
  }

  list(endpoint?: string): Client[] {
    const clients = Array.from(this.#entries.values(), ({ client }) => client)
    return endpoint === undefined ? clients : clients.filter((client) => client.endpoint === endpoint)
  }

  send(target: SendTarget, kind: PayloadKind, content: unknown, except?: string): SendResult {
    if ('client' in target) return this.#sendToOne(target.client, kind, content)
    // One encoding for all clients with the same codec, which is usually all of them.
    const encoded = new Map<Codec, Buffer>()
    let sent = 0
    let skipped = 0
    for (const { client, connection, codec } of this.#entries.values()) {
      if (client.id === except || !matches(target, client)) continue
      let bytes = encoded.get(codec)
      if (bytes === undefined) {
        bytes = encode(kind, content, codec)
        encoded.set(codec, bytes)
      }
      if (connection.send(bytes)) sent++
      else skipped++
    }
    return { sent, skipped }
  }

  async request(target: RequestTarget, kind: PayloadKind, content: unknown, question: Question): Promise<unknown> {
    const entry = this.#entryOf(this.#idOf(target))
    if (question.matches !== undefined) return ask(entry, kind, content, question)
    // Nothing tells the answers of two of these apart, nor from that of a poll, so the second waits for the first.
    entry.asking++
    const answer = this.#askNext(entry, kind, content, question)
    entry.answered = answer.catch(() => undefined)
    return answer
  }

  close(id: string, reason: CloseCause = 'closed_by_api'): boolean {
    const entry = this.#entries.get(id)
    entry?.connection.finish(reason)
    return entry !== undefined
  }

  async #askNext(entry: Entry, kind: PayloadKind, content: unknown, question: Question): Promise<unknown> {
    const { connection } = entry
    const unanswered = () => {
      if (question.whenTimedOut !== 'forget') connection.finish('closed_by_step', UNANSWERED)
    }
    try {
      await entry.answered
      await entry.polls?.over(question.signal)
      const wait = question.codec === undefined ? behind(connection.received, question) : question
      return await ask(entry, kind, content, wait, unanswered)
    } finally {
      entry.asking--
    }
  }

  #sendToOne(id: string, kind: PayloadKind, content: unknown): SendResult {
    sendTo(this.#entryOf(id), kind, content)
    return { sent: 1, skipped: 0 }
  }

  #idOf(target: RequestTarget): string {
    if ('client' in target) return target.client
    const [client, another] = this.list().filter((one) => matches(target, one))
    if (client === undefined) throw nobody(target)
    if (another !== undefined) throw severalOf(target)
    return client.id
  }

  #entryOf(id: string): Entry {
    const entry = this.#entries.get(id)
    if (entry === undefined) throw nobody({ client: id })
    return entry
  }
}

/** What has arrived before a question is no answer to it, and may still wait in the lane. */
function behind(received: number, wait: Wait<Message>): Wait<Message> {
  return { ...wait, matches: ({ sequence }) => sequence > received }
}

function sendTo({ client, connection, codec }: Entry, kind: PayloadKind, content: unknown): void {
  if (connection.send(encode(kind, content, codec))) return
  const text = `client "${client.id}" does not read: too much waits for it already`
  throw new SluiceError('client_slow', text, { retryable: true })
}

const UNANSWERED = 'a question got no answer, and a late one would be taken for that to the next'

/**
 * The wait is open before anything is sent, so that no answer is too quick for it.
 * @param unanswered called when it was sent, and got none
 */
async function ask(
  entry: Entry,
  kind: PayloadKind,
  content: unknown,
  wait: Wait<Message>,
  unanswered?: () => void,
): Promise<unknown> {
  // Who has given up meanwhile must not have it asked: the answer would be taken for that to the next question.
  wait.signal?.throwIfAborted()
  const failed = new AbortController()
  return withEither(failed.signal, wait.signal, async (signal) => {
    const answer = entry.connection.wait({ ...wait, signal })
    try {
      sendTo(entry, kind, content)
      if (unanswered) answer.catch(unanswered)
    } catch (thrown) {
      failed.abort(thrown)
    }
    return (await answer).msg
  })
}

function encode(kind: PayloadKind, content: unknown, codec: Codec): Buffer {
  const writer = new ByteWriter()
  encodeContent(kind, content, codec, writer)
  return writer.take()
}

function matches(target: Exclude<SendTarget, { client: string }>, client: Client): boolean {
  if ('all' in target) return true
  if ('endpoint' in target) return client.endpoint === target.endpoint
  return client.tags[target.tag] === target.value
}
