import { Batch } from '../contracts/batch.ts'
import type { Client } from '../contracts/client.ts'
import { countReason } from '../contracts/counters.ts'
import { detachedSource } from '../contracts/detached-source.ts'
import { toSluiceError } from '../contracts/errors.ts'
import { Message, type Source } from '../contracts/message.ts'
import type { Host } from '../engine/spec.ts'
import { FailureList } from '../engine/stages.ts'
import { toTicks } from '../util/deadlines.ts'
import { MAX_FRAMES } from '../wire/framer.ts'
import { FrameReader, parseFrame } from './frame-reader.ts'
import { type Answer, type Answerer, Asked, type Pair, type Pairing, type PairingOptions } from './pairing.ts'
import { PairingByKey } from './pairing-by-key.ts'
import { PairingInOrder } from './pairing-in-order.ts'
import type { CompareSpec, RelaySpec } from './spec.ts'

/** What a comparison needs of the mirror that it belongs to. */
export interface Compared {
  readonly client: Client
  readonly host: Host
  /** @param what what has happened to the client's answers: a clause without its subject */
  tell(what: string): void
  /** Nothing is left to do, for now. */
  idle(): void
}

/**
 * Compares what two servers answer to one client: the answers become messages, two and two, which go through a dataflow.
 *
 * ```
 *   server ─▶ frames ─▶ values ─┐
 *                               ├─▶ pairs ─▶ messages, in order ─▶ dataflow ─▶ failures: onError, dead letters
 *   mirror ─▶ frames ─▶ values ─┘
 * ```
 *
 * Neither server waits for any of it. Above `limits.maxQueued` bytes that wait for the dataflow, pairs are dropped and counted.
 */
export class Comparison {
  readonly #spec: CompareSpec
  readonly #around: Compared
  readonly #source: Source
  readonly #pairing: Pairing
  readonly #client: FrameReader
  readonly #answers: { readonly [A in Answerer]: FrameReader }
  /** What the client sent last. */
  #request: Asked | undefined = undefined
  /** Who answers no more. */
  readonly #ended = new Set<Answerer>()
  /** Nothing is compared any more. */
  #over = false
  #sequence = 0
  #waiting: Waiting[] = []
  /** Bytes of what waits. */
  #queued = 0
  /** Something had no room; it is told of once. */
  #dropped = false
  /** An answer had no key; it is told of once. */
  #keyless = false
  /** The loop that takes what waits through the dataflow. */
  #work: Promise<void> | undefined = undefined
  #running: Promise<void> | undefined = undefined

  constructor(spec: CompareSpec, around: Compared) {
    const { client, host } = around
    const { boot, clock } = host.surroundings
    const { framing, codec, limits } = host.spec
    this.#spec = spec
    this.#around = around
    // Copies of the messages themselves may go through dataflows too, with numbers of their own.
    const from = { client, boot: `${boot}-compare`, endpoint: client.endpoint, clock, state: {} }
    this.#source = detachedSource(from, 'The answers of a relay are given by its servers.')
    const options: PairingOptions = {
      maxBytes: limits.maxQueued,
      timeout: toTicks(spec.timeout),
      give: (pair) => this.#take(pair),
      overflow: () => this.#overrun(),
    }
    this.#pairing = spec.key === undefined ? new PairingInOrder(options) : new PairingByKey(options)
    this.#client = new FrameReader(framing, limits.maxFrameLength, (raw) => {
      this.#request = new Asked(raw)
      this.#pairing.asked()
    })
    const reader = (from: Answerer) =>
      new FrameReader(codec.framing, limits.maxFrameLength, (raw) => this.#answered(from, raw))
    this.#answers = { server: reader('server'), mirror: reader('mirror') }
  }

  /** Nothing waits for the dataflow and nothing runs. */
  get isIdle(): boolean {
    return this.#work === undefined
  }

  /** Nothing more will be compared, and nothing waits for its counterpart. */
  get isOver(): boolean {
    return this.#over || this.#ended.size === 2
  }

  /** Settles when the run in hand has ended: the next one takes the dataflow of the configuration that is then in force. */
  get pending(): Promise<void> | undefined {
    return this.#running
  }

  /** Takes what the client has sent. */
  asked(chunk: Buffer): void {
    if (this.#over) return
    this.#client.read(chunk)
    // It would be said of all further answers.
    if (this.#client.broken !== undefined) this.#request = undefined
  }

  /**
   * Takes what a server has answered.
   * @returns why its answers can be understood no more; undefined while they can
   */
  answered(from: Answerer, chunk: Buffer): string | undefined {
    if (this.#over || this.#ended.has(from)) return undefined
    const reader = this.#answers[from]
    reader.read(chunk)
    return reader.broken
  }

  /** A server answers no more. */
  ended(from: Answerer): void {
    if (this.#over || this.#ended.has(from)) return
    this.#answers[from].end()
    this.#ended.add(from)
    if (from === 'mirror') this.#missed()
    else this.#pairing.giveUp('mirror')
    if (this.#ended.size === 2) this.#pairing.giveUp(from)
  }

  /** Gives up waiting for what has waited too long. @param tick the present */
  expire(tick: number): void {
    this.#pairing.expire(tick)
  }

  /** Ends without a word on what waits: it is not the mirror's fault. */
  abandon(): void {
    this.#over = true
    const dropped = this.#pairing.clear()
    if (dropped > 0) countReason(this.#around.host.spec.counters.compared, 'dropped', dropped)
  }

  #answered(from: Answerer, raw: Buffer): void {
    if (this.#over) return
    const { deadlines, spec, surroundings } = this.#around.host
    const time = surroundings.clock.now()
    const value = parseFrame(raw, spec.codec.format)
    const key = this.#keyOf(value, raw, time)
    this.#pairing.add(from, { value, raw, key, request: this.#request, time, at: deadlines.tick })
    if (this.#ended.has('mirror')) this.#missed()
  }

  /** Without the mirror, the first answers that it leaves out are all that there is to tell. */
  #missed(): void {
    if (this.#pairing.giveUp('server') === 0) return
    this.#pairing.giveUp('mirror')
    this.#over = true
  }

  /** Answers without their counterparts would be called different, and are only early. */
  #overrun(): void {
    const { host, tell } = this.#around
    countReason(host.spec.counters.rejected, 'overrun')
    tell(
      'is mirrored and no longer compared: more than limits.maxQueued bytes of answers wait for those of the other server',
    )
    this.abandon()
  }

  /** An answer of which it gives nothing, or cannot be evaluated, has none. */
  #keyOf(value: unknown, raw: Buffer, time: number): string | undefined {
    const { key } = this.#spec
    if (key === undefined) return undefined
    let why = 'mirror.key gives nothing for them'
    try {
      const given = key(this.#messageOf(value, raw, time, 0)) ?? undefined
      if (given !== undefined) return JSON.stringify(given)
    } catch (thrown) {
      why = toSluiceError(thrown).message
    }
    if (!this.#keyless) this.#around.tell(`has answers that cannot be compared: ${why}`)
    this.#keyless = true
    return undefined
  }

  #take(pair: Pair): void {
    const { host, tell } = this.#around
    const { counters, limits } = host.spec
    const { raw, time, request } = (pair.server ?? pair.mirror)!
    const own = (pair.server?.raw.length ?? 0) + (pair.mirror?.raw.length ?? 0) + PAIR_COST
    const size = own + (request?.hold() ?? 0)
    countReason(counters.compared, resultOf(pair))
    if (this.#waiting.length > 0 && this.#queued + size > limits.maxQueued) {
      request?.release()
      countReason(counters.compared, 'dropped')
      if (!this.#dropped)
        tell('has answers that are not recorded: more than limits.maxQueued bytes wait for the dataflow')
      this.#dropped = true
      return
    }
    this.#waiting.push({ pair, request, raw, time, sequence: ++this.#sequence, own })
    this.#count(size)
    this.#work ??= this.#runAll()
  }

  #messageOf(msg: unknown, raw: Buffer, time: number, sequence: number): Message {
    return new Message(msg, this.#source, 'message', time, sequence, raw, 0, raw.length, undefined)
  }

  async #runAll(): Promise<void> {
    const { host, idle } = this.#around
    // What one read has brought goes together, and other connections get their turn.
    for (await host.turns.next(); this.#waiting.length > 0; await host.turns.next()) {
      const taken = this.#waiting.splice(0, MAX_FRAMES)
      for (const { own, request } of taken) this.#count(-own - (request?.release() ?? 0))
      this.#running = this.#run(Batch.of(this.#messagesOf(taken)))
      await this.#running
      this.#running = undefined
    }
    // In the same turn as the look at what waits: what comes from now on begins anew.
    this.#work = undefined
    idle()
  }

  /** What several answers have come behind is read once. */
  #messagesOf(taken: readonly Waiting[]): Message[] {
    const { format } = this.#around.host.spec
    const requests = new Map<Asked | undefined, unknown>([[undefined, null]])
    return taken.map(({ pair, request, raw, time, sequence }) => {
      if (!requests.has(request)) requests.set(request, parseFrame(request!.raw, format))
      return this.#messageOf(valueOfPair(pair, requests.get(request)), raw, time, sequence)
    })
  }

  #count(bytes: number): void {
    this.#queued += bytes
    this.#around.host.spec.counters.queuedBytes += bytes
  }

  async #run(batch: Batch): Promise<void> {
    const { host } = this.#around
    // A reload may have taken the comparison away.
    const { mirror, onError }: RelaySpec = host.current()
    const failures = new FailureList()
    try {
      await mirror?.compare?.dataflow.run(batch, failures)
    } catch (thrown) {
      failures.addAll(batch, thrown)
    }
    if (failures.entries.length > 0) await host.settle(failures.entries, onError)
  }
}

function resultOf({ server, mirror, equal }: Pair): 'equal' | 'different' | 'unmatched' {
  if (server === undefined || mirror === undefined) return 'unmatched'
  return equal ? 'equal' : 'different'
}

/** What the dataflow sees as `msg`. */
function valueOfPair({ server, mirror, equal }: Pair, request: unknown): object {
  const valueIn = (answer: Answer | undefined) => (answer === undefined ? null : answer.value)
  return { server: valueIn(server), mirror: valueIn(mirror), equal, request }
}

/** What waits for the dataflow. */
interface Waiting {
  readonly pair: Pair
  readonly request: Asked | undefined
  readonly raw: Buffer
  readonly time: number
  readonly sequence: number
  /** Bytes of memory that it takes, besides those of the request. */
  readonly own: number
}

/** Bytes of memory that a pair takes besides its own. */
const PAIR_COST = 1024
