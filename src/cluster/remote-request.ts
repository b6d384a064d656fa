import { randomUUID } from 'node:crypto'
import { createClock } from '../config/clock.ts'
import { Batch } from '../contracts/batch.ts'
import type { PayloadKind } from '../contracts/client.ts'
import type { ConnectedClients, Question, RequestTarget } from '../contracts/clients.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Format } from '../contracts/format.ts'
import type { Message } from '../contracts/message.ts'
import { isReadable } from '../contracts/readable.ts'
import type { Expression } from '../contracts/schema.ts'
import { packBatch, unpackBatch } from '../delivery/packed-batch.ts'
import { compileCondition } from '../expression/compile.ts'

/** A question on its way to the worker whose client is to answer it. */
export interface RemoteQuestion {
  /** Tells it from all others, of all workers. */
  readonly id: string
  readonly kind: PayloadKind
  readonly content: unknown
  /** Milliseconds. */
  readonly timeout: number
  readonly whenTimedOut: Question['whenTimedOut']
  /** What tells its answer; undefined for the next message. */
  readonly match: RemoteMatch | undefined
}

/** What a client has answered. */
export interface RemoteAnswer {
  readonly value: unknown
}

/** A condition that is compared in another process: its text, and the message that it looks at besides the answer, packed. */
interface RemoteMatch {
  readonly source: string
  readonly asker: Uint8Array
}

/**
 * Makes a question ready to travel.
 * @throws SluiceError `wait_failed` when it cannot: its match is a function, or its message holds something that only this
 *   process has
 */
export function remoteQuestion(kind: PayloadKind, content: unknown, asked: Question): RemoteQuestion {
  const { timeout, whenTimedOut, matches, condition } = asked
  const question = { id: randomUUID(), kind, content, timeout, whenTimedOut }
  if (matches === undefined) return { ...question, match: undefined }
  if (condition === undefined) {
    const hint = 'Write match as an expression, or run with workers: 1.'
    throw new SluiceError('wait_failed', 'the client is connected to another worker, where a function cannot go', {
      hint,
    })
  }
  const { source, asker } = condition
  if (staysHere(asker.msg)) throw cannotTravel('the message')
  try {
    // In a list the value is one that the format has not made, so it travels and is not read from the frame again.
    return { ...question, match: { source, asker: packBatch(Batch.of([asker.with([asker.msg])])) } }
  } catch (thrown) {
    const { message } = toSluiceError(thrown)
    throw new SluiceError('wait_failed', `the message cannot be taken to another worker: ${message}`, { cause: thrown })
  }
}

/** Whether somebody is connected to this worker whom a question is for. */
export function isHere(clients: ConnectedClients, target: RequestTarget): boolean {
  if ('client' in target) return clients.get(target.client) !== undefined
  if ('endpoint' in target) return clients.list(target.endpoint).length > 0
  return clients.list().some(({ tags }) => tags[target.tag] === target.value)
}

/** Asks the clients of this worker what other workers want to know of them. */
export class RemoteQuestions {
  readonly #env: Readonly<Record<string, string>>
  readonly #clock = createClock()
  /** Those that are under way, by their id. */
  readonly #open = new Map<string, AbortController>()
  /** By their text: those of the configuration. */
  readonly #conditions = new Map<string, Expression<boolean>>()

  /** @param env what `env.NAME` stands for in a condition */
  constructor(env: NodeJS.ProcessEnv) {
    const set = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined)
    this.#env = Object.fromEntries(set)
  }

  /**
   * @returns the value of the answer; undefined when nobody is connected here whom the question is for
   * @throws SluiceError as {@link ConnectedClients.request}
   */
  async ask(
    clients: ConnectedClients,
    target: RequestTarget,
    question: RemoteQuestion,
  ): Promise<RemoteAnswer | undefined> {
    if (!isHere(clients, target)) return undefined
    const { id, kind, content, timeout, whenTimedOut, match } = question
    const over = new AbortController()
    this.#open.set(id, over)
    try {
      const matches = match && this.#matches(match)
      const asked = { timeout, whenTimedOut, matches, signal: over.signal }
      const value = await clients.request(target, kind, content, asked)
      if (staysHere(value)) throw cannotTravel('the answer')
      return { value }
    } finally {
      this.#open.delete(id)
    }
  }

  /** Whoever has asked waits no longer. */
  giveUp(id: string): void {
    this.#open.get(id)?.abort()
  }

  #matches({ source, asker }: RemoteMatch): (arrived: Message) => boolean {
    const condition = this.#conditions.get(source) ?? compileCondition(source, { env: this.#env })
    this.#conditions.set(source, condition)
    const bytes = Buffer.from(asker.buffer, asker.byteOffset, asker.byteLength)
    const [packed] = unpackBatch(bytes, () => noFormat, this.#clock).batch.messages
    const message = packed!.with((packed!.msg as readonly [unknown])[0])
    return (arrived) => condition(message.withAnswer(arrived.msg))
  }
}

/** Whether a value has methods, as one of the format `hl7` has, or holds one that has: they do not travel. */
function staysHere(value: unknown): boolean {
  if (isReadable(value)) return true
  return typeof value === 'object' && value !== null && Object.values(value).some(isReadable)
}

function cannotTravel(what: string): SluiceError {
  const text = `the client is connected to another worker, where ${what} cannot be taken: it is read with get`
  const hint = 'Run with workers: 1, or give the endpoint another format, such as text.'
  return new SluiceError('wait_failed', text, { hint })
}

/** The value has travelled, so no frame is read. */
const noFormat: Format = {
  parse: () => unneeded(),
  print: () => unneeded(),
}

function unneeded(): never {
  throw new SluiceError('internal', 'a question from another worker has been read as a frame')
}
