import type { Client, PayloadKind } from '../contracts/client.ts'
import type { Clock } from '../contracts/clock.ts'
import { countReason } from '../contracts/counters.ts'
import { type CloseReason, closeReasonOf, SluiceError, toSluiceError } from '../contracts/errors.ts'
import { Frames } from '../contracts/framing.ts'
import { Batch, type Dataflow, Message, type MessageEvent, type Source } from '../contracts/message.ts'
import type { Socket, SocketHandler } from '../contracts/transport.ts'
import { type Timed, toTicks } from '../util/deadlines.ts'
import { FailureList } from './failures.ts'
import { type FrameReceiver, Framer, MAX_FRAMES } from './framer.ts'
import { Replies } from './replies.ts'
import type { EndpointSpec, Host } from './spec.ts'

/**
 * One live connection: its lane, its answers, its end.
 *
 * ```
 *  onData ─▶ framer ─▶ Frames ─▶ jobs ─▶ run: dataflow(batch) ─▶ failures ─▶ replies ─▶ socket
 *    ▲                          │ one at a time                                         │
 *    └──── resume ◀── below ────┴──── pause ◀── more than maxQueued          drain ─────┘
 *
 *  open ──FIN, drain, error──▶ finishing ──jobs done──▶ closing (FIN sent, input discarded) ──▶ closed ──▶ onDisconnect
 * ```
 */
export class Connection implements Source, SocketHandler, FrameReceiver, Timed {
  readonly client: Client
  readonly #socket: Socket
  readonly #host: Host
  readonly #framer: Framer
  readonly #replies: Replies
  /** Made when a step first writes to it: most connections never do. */
  #state: Record<string, unknown> | undefined = undefined
  /** The lane: what has arrived and not been run. */
  #jobs: Job[] = []
  /** Bytes of the reads in `#jobs`. */
  #queued = 0
  /** What the lane does: a run that waits lets others work meanwhile, but not this connection. */
  #lane: 'idle' | 'running' | 'waiting' = 'idle'
  /** Whose dataflows the run in flight takes: after a reload the next run takes those of another spec. */
  #running!: EndpointSpec
  /** Settles when the run that was last begun has ended; undefined when that was at once. */
  pending: Promise<void> | undefined = undefined
  /** When the last read came; milliseconds since 1970. */
  #readAt = 0
  /** Number of the last frame. */
  #sequence = 0
  #phase: 'open' | 'finishing' | 'closing' | 'closed' = 'open'
  #reason: CloseReason | undefined = undefined
  #detail = ''
  #paused = false
  /** Called when the socket can take more, or has closed. */
  #onWritable: (() => void) | undefined = undefined
  /** Ticks at which something began that has a deadline; 0 while it has not. */
  #frameSince = 0
  #writeSince = 0
  #closingSince = 0
  #activeSince: number
  readonly #openedAt: number

  constructor(socket: Socket, client: Client, host: Host) {
    this.#socket = socket
    this.client = client
    this.#host = host
    const { spec, deadlines } = host
    this.#framer = new Framer(spec.framing.createDecoder(spec.limits.maxFrameLength), spec.limits.maxFrameLength)
    this.#replies = new Replies(spec.codec)
    this.#openedAt = deadlines.tick
    this.#activeSince = deadlines.tick
    if (spec.limits.idleTimeout > 0 || spec.limits.firstFrameTimeout > 0) deadlines.watch(this)
  }

  get endpoint(): string {
    return this.client.endpoint
  }

  /** Frames that have arrived. */
  get received(): number {
    return this.#sequence
  }

  get boot(): string {
    return this.#host.surroundings.boot
  }

  get clock(): Clock {
    return this.#host.surroundings.clock
  }

  get state(): Record<string, unknown> {
    this.#state ??= {}
    return this.#state
  }

  /** Begins: the events of the connection occupy the lane first, then data flows. */
  open(): void {
    const { onConnect, runOnConnect, dataflow } = this.#host.spec
    if (onConnect !== undefined) this.#jobs.push({ event: 'connect', flow: 'onConnect', required: true })
    if (runOnConnect && dataflow !== undefined) this.#jobs.push({ event: 'connect', flow: 'dataflow', required: false })
    this.#socket.start(this)
    this.#pump()
  }

  onData(chunk: Buffer): void {
    if (this.#phase !== 'open') return
    const { surroundings, spec, deadlines } = this.#host
    const { client } = this
    if (client.bytesIn === 0) surroundings.events.emit('connection.spoke', { client, bytes: chunk })
    const time = surroundings.clock.now()
    client.bytesIn += chunk.length
    client.lastSeen = time
    spec.counters.bytesIn += chunk.length
    this.#activeSince = deadlines.tick
    this.#readAt = time
    this.#framer.feed(chunk, this)
    if (this.#framer.broken !== undefined) this.finish('frame_error', this.#framer.broken.message)
    else this.#pump()
  }

  onEnd(): void {
    if (this.#phase !== 'open') return
    this.takeFrames(this.#framer.end())
    this.finish('client_closed')
  }

  onDrain(): void {
    this.#writeSince = 0
    this.#onWritable?.()
  }

  onClose(error: Error | undefined): void {
    if (this.#phase === 'open') this.takeFrames(this.#framer.end())
    if (this.#reason === undefined) {
      this.#reason = closeReasonOf(error)
      this.#detail = error?.message ?? ''
    }
    this.#phase = 'closed'
    this.client.state = 'closed'
    this.#host.deadlines.forget(this)
    this.#onWritable?.()
    this.#host.closed(this.client, this.#reason, this.#detail)
    // Which dataflow that is, and whether there is one, is seen when its turn has come: a reload may be between.
    this.#jobs.push({ event: 'disconnect', flow: 'onDisconnect', required: false })
    this.#pump()
  }

  reply(sequence: number, kind: PayloadKind, content: unknown): void {
    if (!this.#replies.add(sequence, kind, content)) this.#host.lost(this.client, 1)
    // Where the run ends within this turn, all its answers leave in one write.
    else if (this.#lane === 'waiting' && sequence === this.#replies.first) setImmediate(() => this.#sendFirst())
  }

  echo(frames: readonly Frames[]): boolean {
    const { framing, codec } = this.#host.spec
    // What one framing has found another may not be able to write.
    return framing === codec.framing && this.#replies.echo(frames)
  }

  close(): void {
    this.finish('closed_by_step')
  }

  /**
   * Queues bytes that no message of this connection caused.
   * @returns false when the connection is ending or more than maxQueued bytes wait for it already
   */
  send(bytes: Buffer): boolean {
    if (this.#phase === 'closing' || this.#phase === 'closed') return false
    const { limits, counters } = this.#host.spec
    if (this.#socket.queued > 0 && this.#socket.queued + bytes.length > limits.maxQueued) {
      counters.sendsSkipped++
      return false
    }
    this.#write(bytes, 1)
    return true
  }

  /** Reads no more, runs what has arrived, sends its answers, closes. An unfinished frame is dropped. */
  finish(reason: CloseReason, detail = ''): void {
    if (this.#phase !== 'open') return
    this.#phase = 'finishing'
    this.client.state = 'closing'
    this.#reason ??= reason
    this.#detail ||= detail
    this.#pump()
  }

  /** Ends at once. What has begun to be delivered is delivered all the same. */
  terminate(reason: CloseReason, detail = ''): void {
    if (this.#phase !== 'closing') {
      this.#reason = reason
      this.#detail = detail
    }
    this.#socket.destroy()
  }

  checkDeadlines(tick: number): boolean {
    const { limits } = this.#host.spec
    const overdue = (since: number, milliseconds: number) => milliseconds > 0 && tick - since >= toTicks(milliseconds)
    if (this.#closingSince > 0) {
      if (overdue(this.#closingSince, LINGER_MS)) this.#socket.destroy()
      return true
    }
    if (this.#writeSince > 0 && overdue(this.#writeSince, limits.writeTimeout)) {
      this.terminate('write_timeout', `the other side did not read what it was sent for ${limits.writeTimeout} ms`)
      return true
    }
    if (this.#phase !== 'open') return this.#writeSince > 0
    if (this.#paused || this.#lane === 'waiting') {
      // A sender that we hold back, or that waits for our answer, cannot be late.
      this.#activeSince = tick
      if (this.#frameSince > 0) this.#frameSince = tick
    }
    if (this.#frameSince > 0 && overdue(this.#frameSince, limits.frameTimeout)) {
      const error = new SluiceError('frame_timeout', `a frame was not finished within ${limits.frameTimeout} ms`)
      this.takeFrames(this.#framer.abandon(error))
      this.finish('frame_timeout', error.message)
    } else if (this.#sequence === 0 && overdue(this.#openedAt, limits.firstFrameTimeout)) {
      this.finish('first_frame_timeout')
    } else if (overdue(this.#activeSince, limits.idleTimeout)) {
      this.finish('idle_timeout')
    }
    return this.#frameSince > 0 || this.#writeSince > 0 || limits.idleTimeout > 0 || limits.firstFrameTimeout > 0
  }

  /** Puts what the framer found into the lane and holds the sender back when that is too much. */
  takeFrames(frames: Frames): void {
    const { spec, deadlines } = this.#host
    if (this.#framer.unread === 0) this.#frameSince = 0
    else if (this.#frameSince === 0 || frames.count > 0) {
      this.#frameSince = deadlines.tick
      deadlines.watch(this)
    }
    if (frames.count === 0) return
    frames.time = this.#readAt
    frames.sequence = this.#sequence + 1
    this.#jobs.push(frames)
    this.#sequence += frames.count
    if (this.#lane === 'idle') return
    this.#queued += frames.size
    spec.counters.queuedBytes += frames.size
    if (this.#queued + this.#jobs.length * READ_COST > spec.limits.maxQueued && !this.#paused) {
      this.#paused = true
      spec.counters.readsPaused++
      this.#socket.pause()
    }
  }

  /** Runs jobs until one has to wait or none is left. */
  #pump(): void {
    if (this.#lane === 'idle' && this.#jobs.length > 0) {
      this.#lane = 'running'
      this.pending = undefined
      try {
        this.pending = this.#runNext()
      } catch (thrown) {
        this.#fail(thrown)
      }
      const waits = this.pending !== undefined || this.#jobs.length > 0
      this.#lane = waits ? 'waiting' : 'idle'
      if (waits) void this.#pumpAfter(this.pending, this.#host.turns.next())
    }
    if (this.#lane !== 'idle') return
    if (this.#phase === 'finishing') this.#closeOutput()
    else if (this.#phase === 'closed') this.#host.ended(this)
  }

  /** A connection begins one run in a turn, so that the others get theirs. One that has waited for longer goes on at once. */
  async #pumpAfter(run: Promise<void> | undefined, turn: Promise<void>): Promise<void> {
    await run?.catch((thrown) => this.#fail(thrown))
    if (this.#jobs.length > 0) await turn
    this.#lane = 'idle'
    this.#pump()
  }

  /** What throws in the lane is a defect, of Sluice or of a part. It ends this connection and no other. */
  #fail(thrown: unknown): void {
    this.terminate('internal', toSluiceError(thrown, 'internal').message)
  }

  #runNext(): Promise<void> | undefined {
    const failures = new FailureList()
    const job = this.#jobs[0]!
    this.#running = this.#host.current()
    if ('event' in job) {
      this.#jobs.shift()
      this.#replies.begin(0)
      const message = Message.ofEvent(this, job.event, this.clock.now())
      const ended = this.#run(this.#running[job.flow], Batch.of([message]), failures)
      if (!job.required) return ended
      if (ended !== undefined) return ended.then(() => this.#refuseIf(failures))
      return this.#refuseIf(failures)
    }
    return this.#run(this.#running.dataflow, this.#nextBatch(failures), failures)
  }

  /** A client that `onConnect` turns away is not listened to: what it has sent meanwhile is dropped, unacknowledged. */
  #refuseIf({ entries: [failed] }: FailureList): undefined {
    if (failed === undefined) return
    this.#jobs = this.#jobs.filter((job) => 'event' in job && job.event === 'disconnect')
    this.#host.spec.counters.queuedBytes -= this.#queued
    this.#queued = 0
    this.finish('connect_failed', failed.error.message)
  }

  /** Joins reads that wait into one batch: batches grow exactly when the lane is slow. */
  #nextBatch(failures: FailureList): Batch {
    const { spec } = this.#host
    let taken = 0
    let count = 0
    let bytes = 0
    for (let job = this.#jobs[0]; count < MAX_FRAMES && job instanceof Frames; job = this.#jobs[++taken]) {
      count += job.count
      bytes += job.size
    }
    const reads = this.#jobs.splice(0, taken) as Frames[]
    this.#replies.begin(reads[0]!.sequence)
    // What found the lane idle has not been counted as waiting.
    const counted = Math.min(bytes, this.#queued)
    this.#queued -= counted
    spec.counters.queuedBytes -= counted
    const waiting = this.#queued + this.#jobs.length * READ_COST
    if (this.#paused && this.#phase === 'open' && waiting <= spec.limits.maxQueued / 2) {
      this.#paused = false
      this.#socket.resume()
    }
    const batch = this.#toBatch(reads, failures)
    this.client.messagesIn += batch.length
    spec.counters.messagesIn += batch.length
    return batch
  }

  #toBatch(reads: readonly Frames[], failures: FailureList): Batch {
    const { format } = this.#host.spec
    if (reads.every((frames) => frames.errors === undefined && format.acceptsAll?.(frames))) {
      return Batch.ofFrames(reads, format, this)
    }
    const messages: Message[] = []
    for (const read of reads) this.#decode(read, messages, failures)
    return Batch.of(messages)
  }

  /** Makes a message of each frame; one that framing or format refuses becomes a failure with its raw bytes. */
  #decode(frames: Frames, messages: Message[], failures: FailureList): void {
    const { spec, surroundings } = this.#host
    const { format } = spec
    const { bytes, starts, ends, errors } = frames
    for (let i = 0; i < starts.length; i++) {
      let error = errors?.get(i)
      if (error === undefined) {
        try {
          const value = format.parse(bytes, starts[i]!, ends[i]!)
          messages.push(Message.ofFrame(value, this, frames, i, format))
          continue
        } catch (thrown) {
          error = toSluiceError(thrown, 'format_invalid')
        }
      }
      const message = Message.ofFrame(null, this, frames, i, undefined)
      countReason(spec.counters.rejected, error.code)
      surroundings.events.emit('frame.rejected', { message, error })
      failures.add(message, error)
    }
  }

  /** One run: dataflow, then what failed, then the answers. Gives a promise only when something has to be waited for. */
  #run(dataflow: Dataflow | undefined, batch: Batch, failures: FailureList): Promise<void> | undefined {
    if (dataflow !== undefined && batch.length > 0) {
      let result: Batch | Promise<Batch>
      try {
        result = dataflow.run(batch, failures)
      } catch (thrown) {
        failures.addAll(batch, thrown)
        result = batch
      }
      if (result instanceof Promise) {
        this.#sendFirst()
        return result.catch((thrown) => failures.addAll(batch, thrown)).then(() => this.#settle(failures))
      }
    }
    return this.#settle(failures)
  }

  #settle(failures: FailureList): Promise<void> | undefined {
    if (failures.entries.length === 0) return this.#sendAll()
    return this.#host.settle(failures.entries, this.#running.onError).then(() => this.#sendAll())
  }

  #sendFirst(): void {
    if (this.#phase === 'closed') return
    try {
      const bytes = this.#replies.takeFirst()
      if (bytes !== undefined) this.#write(bytes, 1)
    } catch (thrown) {
      this.#fail(thrown)
    }
  }

  /** Sends the answers of a run in one write. Gives a promise when the client must first read what was written to it. */
  #sendAll(): Promise<void> | undefined {
    const { count } = this.#replies
    const bytes = this.#replies.takeAll()
    if (this.#phase === 'closed' || this.#phase === 'closing') {
      if (count > 0) this.#host.lost(this.client, count)
      return undefined
    }
    if (bytes !== undefined) this.#write(bytes, count)
    if (this.#writeSince === 0) return undefined
    return new Promise((resolve) => {
      this.#onWritable = () => {
        this.#onWritable = undefined
        resolve()
      }
    })
  }

  #write(bytes: Buffer, count: number): void {
    const { spec, deadlines } = this.#host
    this.client.bytesOut += bytes.length
    this.client.messagesOut += count
    spec.counters.bytesOut += bytes.length
    spec.counters.messagesOut += count
    if (this.#socket.write(bytes) || this.#writeSince > 0) return
    this.#writeSince = deadlines.tick
    deadlines.watch(this)
  }

  /** Half-closes, then discards input until FIN or the linger time, so that the last answer arrives (RFC 1122, 4.2.2.13). */
  #closeOutput(): void {
    this.#phase = 'closing'
    this.#closingSince = this.#host.deadlines.tick
    this.#host.deadlines.watch(this)
    if (this.#paused) this.#socket.resume()
    this.#socket.end()
  }
}

/** A turn of the lane for an event of the connection. */
interface EventJob {
  readonly event: MessageEvent
  readonly flow: 'onConnect' | 'dataflow' | 'onDisconnect'
  /** The connection is closed when it fails. */
  readonly required: boolean
}

type Job = Frames | EventJob

/** Bytes of memory that a read takes besides its own: a sender of tiny packets must not fill the memory with objects. */
const READ_COST = 512

const LINGER_MS = 2000
