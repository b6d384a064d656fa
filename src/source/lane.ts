import { Batch } from '../contracts/batch.ts'
import type { Client, PayloadKind } from '../contracts/client.ts'
import { encodeContent } from '../contracts/codec.ts'
import { countReason } from '../contracts/counters.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Failure } from '../contracts/failure.ts'
import { Message, type Source } from '../contracts/message.ts'
import type { Delivery } from '../contracts/subscription.ts'
import { countDeadLetters, createDeathNotice, createHooks } from '../delivery/burial.ts'
import { keepDeadLetter } from '../delivery/keep-dead-letter.ts'
import { FailureList, settleFailures } from '../engine/stages.ts'
import { ByteWriter } from '../util/byte-writer.ts'
import { formatSize } from '../util/units.ts'
import type { SourceSpec, SourceSurroundings } from './spec.ts'

/**
 * The lane of a source without connections: one run through the dataflow at a time, with all that waits as its batch.
 *
 * ```
 *   take ─▶ waiting ─▶ run: dataflow(batch) ─▶ failures: onError, dead letters ─▶ settle each, in order
 * ```
 *
 * A message is settled when it is delivered, handled, dropped on purpose or kept as a dead letter. While a dead letter
 * cannot be stored the lane waits, and with it the broker.
 */
export class Lane {
  /** Who the messages come from; its numbers move. */
  readonly client: Client
  readonly #around: SourceSurroundings
  #spec: SourceSpec
  #waiting: Arrival[] = []
  /** Bytes of what waits. */
  #queued = 0
  /** Number of the last message. */
  #sequence = 0
  /** What is in the run, by its number; empty between runs. */
  readonly #inRun = new Map<number, Arrival>()
  readonly #source: Source
  /** Settles when nothing waits and nothing runs; undefined then. */
  #work: Promise<void> | undefined = undefined
  /** Settles when the run that was last begun has ended. */
  #run: Promise<void> = Promise.resolve()

  constructor(spec: SourceSpec, client: Client, around: SourceSurroundings) {
    this.#spec = spec
    this.client = client
    this.#around = around
    const { boot, clock } = around
    const reply: Source['reply'] = (sequence, kind, content) => this.#reply(sequence, kind, content)
    this.#source = {
      client,
      boot,
      endpoint: spec.name,
      clock,
      state: {},
      reply,
      wait: nobodyToWaitFor,
      echo: () => false,
      close() {},
    }
  }

  /** Takes messages in their order. Where a broker keeps nothing, those for which there is no room are lost, and told of. */
  take(deliveries: readonly Delivery[]): void {
    const { spec, client } = this
    const time = this.#around.clock.now()
    for (const delivery of deliveries) {
      const { length } = delivery.payload
      client.bytesIn += length
      spec.counters.bytesIn += length
      const arrival = { delivery, time, sequence: ++this.#sequence }
      if (delivery.settle === undefined && this.#queued + length > spec.maxQueued && this.#waiting.length > 0) {
        this.#reject(this.#messageOf(arrival, null, undefined), overrun(spec.maxQueued))
        continue
      }
      this.#waiting.push(arrival)
      this.#queued += length
      spec.counters.queuedBytes += length
    }
    client.lastSeen = time
    this.#work ??= this.#runAll()
  }

  get spec(): SourceSpec {
    return this.#spec
  }

  /**
   * Takes the dataflows of another spec from the next run on.
   * @returns resolves when the last run in the old ones has ended
   */
  async replace(spec: SourceSpec): Promise<void> {
    this.#spec = spec
    await this.#run
  }

  /** Resolves when nothing waits and nothing runs. */
  async idle(): Promise<void> {
    await this.#work
  }

  async #runAll(): Promise<void> {
    const { late } = this.#around
    // The messages of one read arrive one by one; they shall go together.
    await nextTurn()
    while (this.#waiting.length > 0 && !late.aborted) {
      this.#run = this.#runOnce(this.#waiting.splice(0, MAX_BATCH)).catch((thrown) => this.#tell(thrown))
      await this.#run
      // Between two runs the connections get their turn.
      await nextTurn()
    }
    // In the same turn as the look at what waits: what is taken from now on begins anew.
    this.#work = undefined
  }

  /** What throws here is a defect, of Sluice or of a part. It ends a run and nothing else. */
  #tell(thrown: unknown): void {
    const text = `a run has ended with a defect: ${toSluiceError(thrown, 'internal').message}`
    this.#around.events.emit('part.logged', { level: 'error', step: this.spec.name, text, client: this.client })
  }

  async #runOnce(arrivals: readonly Arrival[]): Promise<void> {
    const { spec } = this
    const failures = new FailureList()
    const messages = this.#toMessages(arrivals, failures)
    const unsettled = new Set<number>()
    try {
      if (spec.dataflow !== undefined && messages.length > 0) {
        const batch = Batch.of(messages)
        try {
          await spec.dataflow.run(batch, failures)
        } catch (thrown) {
          failures.addAll(batch, thrown)
        }
      }
      await this.#settle(failures, unsettled)
    } finally {
      this.#inRun.clear()
    }
    for (const { delivery, sequence } of arrivals) if (!unsettled.has(sequence)) delivery.settle?.()
  }

  #toMessages(arrivals: readonly Arrival[], failures: FailureList): Message[] {
    const { counters, format } = this.spec
    const messages: Message[] = []
    for (const arrival of arrivals) {
      const { delivery, sequence } = arrival
      const { payload } = delivery
      this.#inRun.set(sequence, arrival)
      this.#queued -= payload.length
      counters.queuedBytes -= payload.length
      try {
        if (delivery.error !== undefined) throw delivery.error
        if (delivery.event !== undefined) messages.push(this.#messageOf(arrival, null, undefined))
        else messages.push(this.#messageOf(arrival, format.parse(payload, 0, payload.length), format))
      } catch (thrown) {
        const error = toSluiceError(thrown, 'format_invalid')
        const message = this.#messageOf(arrival, null, undefined)
        this.#reject(message, error)
        failures.add(message, error)
      }
    }
    this.client.messagesIn += messages.length
    counters.messagesIn += messages.length
    return messages
  }

  #messageOf({ delivery, time, sequence }: Arrival, msg: unknown, verbatim: Message['verbatim']): Message {
    const { payload, topic, id, event = 'message' } = delivery
    const { length } = payload
    const source = this.#source
    const extras = { givenKey: id, topic }
    return new Message(msg, source, event, time, sequence, payload, 0, length, verbatim, extras)
  }

  #reject(message: Message, error: SluiceError): void {
    countReason(this.spec.counters.rejected, error.code)
    this.#around.events.emit('frame.rejected', { message, error })
  }

  #reply(sequence: number, kind: PayloadKind, content: unknown): void {
    const { counters, codec } = this.spec
    const arrival = this.#inRun.get(sequence)
    // Who has not asked for an answer does not miss it.
    if (arrival !== undefined && arrival.delivery.reply === undefined) return
    const writer = new ByteWriter()
    encodeContent(kind, content, codec, writer)
    const bytes = writer.take()
    if (arrival?.delivery.reply?.(bytes) !== true) {
      counters.repliesLost++
      this.#around.events.emit('reply.lost', { client: this.client, count: 1, late: arrival === undefined })
      return
    }
    this.client.bytesOut += bytes.length
    this.client.messagesOut++
    counters.bytesOut += bytes.length
    counters.messagesOut++
  }

  /** @param unsettled gets the numbers of messages of which nobody has taken care */
  async #settle({ entries }: FailureList, unsettled: Set<number>): Promise<void> {
    if (entries.length === 0) return
    const { counters, onError } = this.spec
    const { events, deadLetters, late } = this.#around
    const letters = countDeadLetters(deadLetters, counters, events)
    const tell = createDeathNotice(counters, events)
    const bury = async (failure: Failure) => {
      const { message, error, step } = failure
      tell(failure)
      const cause = await keepDeadLetter(letters, message, error, step, late)
      if (cause === undefined) return
      const { sequence } = message
      unsettled.add(sequence)
      const isKept = this.#inRun.get(sequence)?.delivery.settle !== undefined
      if (!isKept) events.emit('deadLetter.lost', { message, error, cause })
    }
    await settleFailures(entries, onError, createHooks(counters, events), bury)
  }
}

/** A delivery in its place. */
interface Arrival {
  readonly delivery: Delivery
  readonly sequence: number
  /** When it came; milliseconds since 1970. */
  readonly time: number
}

/** Most messages of one run. */
const MAX_BATCH = 1000

function overrun(maxQueued: number): SluiceError {
  const text = `more than ${formatSize(maxQueued)} wait for the dataflow, and the broker keeps nothing`
  const hint = 'Subscribe to what the broker keeps, or raise limits.maxQueued.'
  return new SluiceError('overrun', text, { hint })
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function nobodyToWaitFor(): Promise<never> {
  return Promise.reject(new SluiceError('no_connection', 'there is no client here to wait for'))
}
