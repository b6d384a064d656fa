import type { Session } from '../brokers/reconnecting.ts'
import type { RedisLink } from '../brokers/redis-link.ts'
import { isPassing } from '../brokers/redis-transaction.ts'
import type { Address } from '../contracts/client.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Delivery } from '../contracts/subscription.ts'

/** What a consumer of a group is made of. */
export interface GroupOptions {
  readonly stream: string
  readonly group: string
  readonly consumer: string
  /** The field that is the payload; undefined for the field `value`, or all of them. */
  readonly field: string | undefined
  readonly startAt: 'new' | 'first'
  readonly maxInFlight: number
  readonly address: Address
  /** Milliseconds for a reply. */
  readonly timeout: number
}

/**
 * Reads a stream as a consumer of a group: first what this consumer was given before and has not acknowledged, then what
 * is new (XREADGROUP). Entries are acknowledged (XACK) when all that were read together have gone through the dataflow,
 * and then more are read; so no more than `maxInFlight` are ever under way.
 * Source: https://redis.io/docs/latest/commands/xreadgroup/
 * @throws SluiceError when the group cannot be made
 */
export async function readGroup(
  link: RedisLink,
  options: GroupOptions,
  take: (deliveries: readonly Delivery[]) => void,
): Promise<Session> {
  await ensureGroup(link, options)
  const reader = new GroupReader(link, options, take)
  const { promise: lost, resolve: lose } = Promise.withResolvers<SluiceError>()
  void link.ended.then(lose)
  // What was read must not be given before the subscription is known to stand.
  const reading = Promise.resolve()
    .then(() => reader.run())
    .catch((thrown) => lose(problemOf(thrown, options)))
  return {
    address: options.address,
    lost,
    async stop() {
      reader.stop()
      if (reader.isBlocked) link.destroy(STOPPED())
    },
    async end() {
      reader.stop()
      if (reader.isBlocked) link.destroy(STOPPED())
      reader.finish()
      await reading
      await link.end()
    },
  }
}

/** An entry of a stream: its id, and its fields and values in turns; null when it was deleted meanwhile. */
type Entry = readonly [id: string, fields: readonly Buffer[] | null]

class GroupReader {
  /** A read waits at the server for entries that are not there yet. */
  isBlocked = false
  readonly #link: RedisLink
  readonly #options: GroupOptions
  readonly #take: (deliveries: readonly Delivery[]) => void
  #stopped = false
  /** Nothing more will be settled. */
  #finished = false
  /** Ends the wait for what was given on. */
  #goOn = () => {}

  constructor(link: RedisLink, options: GroupOptions, take: (deliveries: readonly Delivery[]) => void) {
    this.#link = link
    this.#options = options
    this.#take = take
    void link.ended.then(() => this.finish())
  }

  stop(): void {
    this.#stopped = true
  }

  /** Nothing more will be settled: what was given on is waited for no longer. */
  finish(): void {
    this.#finished = true
    this.#goOn()
  }

  async run(): Promise<void> {
    // From 0: what this consumer was given before, in its old order. Behind the last of it: what is new.
    let after = '0'
    while (!this.#stopped) {
      const entries = await this.#read(after)
      // They are read again, by whoever is this consumer then.
      if (this.#stopped) return
      if (entries.length === 0) {
        after = NEW
        continue
      }
      await this.#deal(entries)
      if (after !== NEW) after = entries.at(-1)![0]
    }
  }

  async #read(after: string): Promise<readonly Entry[]> {
    const { stream, group, consumer, maxInFlight, timeout } = this.#options
    const isNew = after === NEW
    const block = isNew ? ['BLOCK', String(BLOCK_MS)] : []
    const from = ['COUNT', String(maxInFlight), ...block, 'STREAMS', stream, after]
    this.isBlocked = isNew
    try {
      const reply = await this.#link.ask(['XREADGROUP', 'GROUP', group, consumer, ...from], timeout + BLOCK_MS, 'bytes')
      return readEntries(reply)
    } finally {
      this.isBlocked = false
    }
  }

  /** Gives entries on, and acknowledges them when the last of them is settled. */
  async #deal(entries: readonly Entry[]): Promise<void> {
    const { stream, group, timeout } = this.#options
    const done: string[] = []
    const open = new Set(entries.map(([id]) => id))
    const { promise: settled, resolve } = Promise.withResolvers<void>()
    const settle = (id: string) => {
      done.push(id)
      open.delete(id)
      if (open.size === 0) resolve()
    }
    this.#take(entries.flatMap((entry) => this.#deliveryOf(entry, settle) ?? []))
    // Not raced with promises that live as long as the link: they would remember every wait.
    this.#goOn = resolve
    if (this.#finished) resolve()
    await settled
    if (done.length > 0) await this.#link.ask(['XACK', stream, group, ...done], timeout)
  }

  /** @returns undefined for an entry that is not there any more: nobody can have it, so it is settled */
  #deliveryOf([id, fields]: Entry, settle: (id: string) => void): Delivery | undefined {
    const { stream, field } = this.#options
    if (fields === null) {
      settle(id)
      return undefined
    }
    const entry = { topic: stream, id: `${stream}:${id}`, settle: () => settle(id) }
    const payload = payloadOf(fields, field)
    if (payload !== undefined) return { ...entry, payload }
    const error = new SluiceError('format_invalid', `the entry ${id} of ${stream} has no field ${field}`)
    return { ...entry, payload: payloadOf(fields, undefined)!, error }
  }
}

/** What stands for "entries that no consumer of the group was given". */
const NEW = '>'

/** Milliseconds that a read waits for entries. */
const BLOCK_MS = 5000

/** A function, because an error remembers where it was made. */
const STOPPED = () => new SluiceError('subscription_failed', 'the subscription has been stopped', { retryable: true })

/**
 * The payload of an entry: the field that was asked for; else the field `value` where it is the only one, which is what the
 * sink writes; else all fields as JSON.
 * @returns undefined when there is no such field
 */
function payloadOf(fields: readonly Buffer[], wanted: string | undefined): Buffer | undefined {
  const pairs = fields.flatMap((name, i) => (i % 2 === 0 ? [[name.toString(), fields[i + 1]!] as const] : []))
  if (wanted !== undefined) return pairs.find(([name]) => name === wanted)?.[1]
  const [first, ...more] = pairs
  if (first?.[0] === 'value' && more.length === 0) return first[1]
  return Buffer.from(JSON.stringify(Object.fromEntries(pairs.map(([name, value]) => [name, value.toString()]))))
}

/** One stream was asked for: `[[stream, [[id, [field, value, …]], …]]]`, or null when there was nothing in time. */
function readEntries(reply: unknown): readonly Entry[] {
  const [stream] = (reply as [[Buffer, [Buffer | string, Buffer[] | null][]]] | null) ?? []
  return stream === undefined ? [] : stream[1].map(([id, fields]) => [id.toString(), fields])
}

async function ensureGroup(link: RedisLink, options: GroupOptions): Promise<void> {
  const { stream, group, startAt, timeout } = options
  try {
    await link.ask(['XGROUP', 'CREATE', stream, group, startAt === 'new' ? '$' : '0', 'MKSTREAM'], timeout)
  } catch (thrown) {
    if (link.errorText(thrown)?.startsWith('BUSYGROUP')) return
    throw problemOf(thrown, options)
  }
}

function problemOf(thrown: unknown, { stream, group }: GroupOptions): SluiceError {
  if (thrown instanceof SluiceError) return thrown
  const { message } = toSluiceError(thrown)
  const text = `Redis does not give the group ${group} the stream ${stream}: ${message}`
  const hint = message.startsWith('WRONGTYPE') ? { hint: `The key ${stream} holds something else than a stream.` } : {}
  return new SluiceError('subscription_failed', text, { cause: thrown, retryable: isPassing(message), ...hint })
}
