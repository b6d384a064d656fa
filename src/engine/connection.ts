import { Waits } from '../clients/waits.ts'
import { Batch } from '../contracts/batch.ts'
import type { Client, PayloadKind } from '../contracts/client.ts'
import type { Clock } from '../contracts/clock.ts'
import { countReason } from '../contracts/counters.ts'
import type { Dataflow } from '../contracts/dataflow.ts'
import { type CloseReason, closeReasonOf, notices, SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Frames } from '../contracts/framing.ts'
import { Message, type Source } from '../contracts/message.ts'
import type { Socket, SocketHandler } from '../contracts/transport.ts'
import type { Wait } from '../contracts/wait.ts'
import type { Timed } from '../util/deadlines.ts'
import { type FrameReceiver, Framer } from '../wire/framer.ts'
import { Lane } from './lane.ts'
import { type Overdue, Owed } from './overdue.ts'
import { Replies } from './replies.ts'
import type { EndpointSpec, Host } from './spec.ts'
import { FailureList } from './stages.ts'

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
  /** What has arrived and not been run. */
  readonly #lane: Lane
  /** What the lane does: a run that waits lets others work meanwhile, but not this connection. */
  #work: 'idle' | 'running' | 'waiting' = 'idle'
  /** Whose dataflows the run in flight takes: after a reload the next run takes those of another spec. */
  #running!: EndpointSpec
  /** Settles when the run that was last begun has ended; undefined when that was at once. */
  pending: Promise<void> | undefined = undefined
  /** When the last read came; milliseconds since 1970. */
  #readAt = 0
  /** Made when something may be waited for. */
  #waits: Waits | undefined = undefined
  /** Number of the last frame. */
  #sequence = 0
  #phase: 'open' | 'finishing' | 'closing' | 'closed' = 'open'
  /** Why it ends. */
  #cause: { readonly reason: CloseReason; readonly detail: string } | undefined = undefined
  /** Settles when the socket can take more, or has closed. */
  #writable: PromiseWithResolvers<void> | undefined = undefined
  readonly #owed: Owed

  constructor(socket: Socket, client: Client, host: Host) {
    this.#socket = socket
    this.client = client
    this.#host = host
    const { spec, deadlines } = host
    this.#framer = new Framer(spec.framing.createDecoder(spec.limits.maxFrameLength), spec.limits.maxFrameLength)
    this.#lane = new Lane(socket, spec)
    this.#replies = new Replies(spec.codec)
    this.#owed = new Owed(deadlines.tick)
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
    if (onConnect !== undefined) {
      this.#lane.add({ event: 'connect', flow: 'onConnect', required: true })
      this.#conversation.hold()
    }
    if (runOnConnect && dataflow !== undefined) this.#lane.add({ event: 'connect', flow: 'dataflow', required: false })
    this.#socket.start(this)
    this.#pump()
  }

  onData(chunk: Buffer): void {
    if (this.#phase !== 'open') return
    const { surroundings, spec, deadlines, rests } = this.#host
    const { client } = this
    if (client.bytesIn === 0) surroundings.events.emit('connection.spoke', { client, bytes: chunk })
    const time = surroundings.clock.now()
    client.bytesIn += chunk.length
    client.lastSeen = time
    spec.counters.bytesIn += chunk.length
    this.#owed.active = deadlines.tick
    this.#readAt = time
    this.#read(chunk)
    this.#pump()
    if (this.#work === 'waiting' && chunk.length < SMALL_READ && this.#mayRest) rests.begin(this.#socket)
  }

  /**
   * Whether what comes while a run waits may be left with the system, to be one read when the run has ended: it would not be run
   * before. Not where somebody waits for it, or where its time counts.
   */
  get #mayRest(): boolean {
    return this.#waits === undefined && this.#framer.quiet === undefined
  }

  #read(chunk: Buffer): void {
    const bytes = this.#waits === undefined ? chunk : this.#waits.read(chunk, this.#readAt)
    this.#framer.feed(bytes, this)
    // Who waits may hold the lane, and what is waited for could not come any more.
    if (this.#phase === 'open' && this.#work !== 'idle' && this.#lane.pauseAbove(this.#waits)) this.#endWaits()
    if (this.#framer.broken !== undefined) this.finish('frame_error', this.#framer.broken.message)
  }

  /** Reads what was held. @param ended `onConnect` has ended, or no more will come: nothing is held any longer */
  #release(ended: boolean): void {
    if (this.#waits === undefined) return
    this.#read(this.#waits.release(ended))
    if (this.#phase === 'open') this.#lane.resumeBelow(this.#waits)
  }

  onEnd(): void {
    if (this.#phase !== 'open') return
    if (!this.#waits?.endHeld()) this.#endInput(false)
    this.finish('client_closed')
  }

  /** What we do not read is no silence. */
  onQuiet(): boolean {
    if (this.#phase !== 'open') return false
    if (this.#lane.paused) return true
    this.takeFrames(this.#framer.end())
    this.#pump()
    return false
  }

  /**
   * No more will come: what was held is read, and what is unfinished is given up.
   * @param reset the connection broke
   */
  #endInput(reset: boolean): void {
    this.#release(true)
    this.takeFrames(this.#framer.end(reset))
  }

  onDrain(): void {
    this.#owed.write = 0
    this.#writable?.resolve()
    this.#writable = undefined
  }

  onClose(error: Error | undefined): void {
    if (this.#phase === 'open' || this.#waits?.ended) this.#endInput(error !== undefined)
    this.#cause ??= { reason: closeReasonOf(error), detail: error?.message ?? '' }
    this.#phase = 'closed'
    this.client.state = 'closed'
    this.#endWaits()
    this.#host.deadlines.forget(this)
    this.onDrain()
    this.#host.closed(this.client, this.#cause.reason, this.#cause.detail)
    // Which dataflow that is, and whether there is one, is seen when its turn has come: a reload may be between.
    this.#lane.add({ event: 'disconnect', flow: 'onDisconnect', required: false })
    this.#pump()
  }

  reply(sequence: number, kind: PayloadKind, content: unknown): void {
    if (!this.#replies.add(sequence, kind, content)) this.#host.lost(this.client, 1)
    // Where the run ends within this turn, all its answers leave in one write.
    else if (this.#work === 'waiting' && sequence === this.#replies.first) setImmediate(() => this.#sendFirst())
  }

  echo(frames: readonly Frames[]): boolean {
    const { framing, codec } = this.#host.spec
    // What one framing has found another may not be able to write.
    return framing === codec.framing && this.#replies.echo(frames)
  }

  wait(wait: Wait<Message>): Promise<Message> {
    const waits = this.#conversation
    this.#host.rests.end(this.#socket)
    const message = waits.open(wait)
    // What a wait has read with a framing of its own, and could not use, is read with that of the endpoint.
    if (wait.codec !== undefined) message.catch(() => this.#release(false))
    this.#lane.offerTo(waits)
    this.#release(false)
    if (this.#phase !== 'open' || this.#lane.paused) this.#endWaits()
    return message
  }

  close(): void {
    this.finish('closed_by_step')
  }

  reset(): void {
    this.terminate('closed_by_step', 'an answer could not be finished')
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
    this.#cause ??= { reason, detail }
    this.#endWaits()
    this.#pump()
  }

  /** Ends at once. What has begun to be delivered is delivered all the same. */
  terminate(reason: CloseReason, detail = ''): void {
    if (this.#phase !== 'closing') this.#cause = { reason, detail }
    this.#socket.reset()
  }

  checkDeadlines(tick: number): boolean {
    const { limits } = this.#host.spec
    const open = this.#phase === 'open'
    if (open && (this.#lane.paused || this.#work === 'waiting')) this.#owed.excuse(tick)
    const late =
      this.#owed.lateOut(tick, limits) ??
      (open ? this.#owed.lateIn(tick, this.#sequence === 0 && !this.#waits?.heard, limits) : undefined)
    if (late !== undefined) this.#endLate(late)
    return this.#owed.watched(open, limits)
  }

  #endLate(late: Overdue): void {
    const { writeTimeout, frameTimeout } = this.#host.spec.limits
    if (late === 'linger') this.#socket.destroy()
    else if (late === 'write') {
      this.terminate('write_timeout', `the other side did not read what it was sent for ${writeTimeout} ms`)
    } else if (late === 'frame') {
      const error = new SluiceError('frame_timeout', `a frame was not finished within ${frameTimeout} ms`)
      this.takeFrames(this.#framer.abandon(error))
      this.finish('frame_timeout', error.message)
    } else this.finish(late === 'idle' ? 'idle_timeout' : 'first_frame_timeout')
  }

  /** Puts what the framer found into the lane and holds the sender back when that is too much. */
  takeFrames(frames: Frames): void {
    const { deadlines } = this.#host
    if (this.#framer.unread === 0) this.#owed.frame = 0
    else if (this.#owed.frame === 0 || frames.count > 0) {
      this.#owed.frame = deadlines.tick
      deadlines.watch(this)
    }
    if (frames.count === 0) return
    frames.time = this.#readAt
    frames.sequence = this.#sequence + 1
    this.#sequence += frames.count
    const waits = this.#work !== 'idle'
    if (this.#waits === undefined) this.#lane.addFrames(frames, waits)
    else for (const left of this.#waits.offer(frames)) this.#lane.addFrames(left, waits)
  }

  get #conversation(): Waits {
    this.#waits ??= new Waits(this, this.#host)
    return this.#waits
  }

  /** Nothing can arrive for who waits. */
  #endWaits(): void {
    this.#waits?.fail(this.#phase !== 'open')
  }

  /** Runs jobs until one has to wait or none is left. */
  #pump(): void {
    if (this.#work === 'idle' && !this.#lane.empty) {
      this.#work = 'running'
      this.pending = undefined
      try {
        this.pending = this.#runNext()
      } catch (thrown) {
        this.#fail(thrown)
      }
      const waits = this.pending !== undefined || !this.#lane.empty
      this.#work = waits ? 'waiting' : 'idle'
      if (waits) void this.#pumpAfter(this.pending, this.#host.turns.next())
    }
    if (this.#work !== 'idle') return
    if (this.#phase === 'finishing') this.#closeOutput()
    else if (this.#phase === 'closed') this.#host.ended(this)
  }

  /** A connection begins one run in a turn, so that the others get theirs. One that has waited for longer goes on at once. */
  async #pumpAfter(run: Promise<void> | undefined, turn: Promise<void>): Promise<void> {
    await run?.catch((thrown) => this.#fail(thrown))
    this.#host.rests.end(this.#socket)
    if (!this.#lane.empty) await turn
    this.#work = 'idle'
    this.#pump()
  }

  /** What throws in the lane is a defect, of Sluice or of a part. It ends this connection and no other. */
  #fail(thrown: unknown): void {
    this.terminate('internal', toSluiceError(thrown, 'internal').message)
  }

  #runNext(): Promise<void> | undefined {
    const failures = new FailureList()
    const job = this.#lane.takeEvent()
    this.#running = this.#host.current()
    if (job !== undefined) {
      this.#replies.begin(0)
      const message = Message.ofEvent(this, job.event, this.clock.now())
      const ended = this.#run(this.#running[job.flow], Batch.of([message]), failures)
      if (!job.required) return ended
      return ended === undefined ? this.#admit(failures) : ended.then(() => this.#admit(failures))
    }
    return this.#run(this.#running.dataflow, this.#nextBatch(failures), failures)
  }

  /** A client that `onConnect` turns away is not listened to: what it has sent meanwhile is dropped, unacknowledged. */
  #admit({ entries: [failed] }: FailureList): undefined {
    if (failed === undefined) {
      this.#release(true)
      if (this.#waits?.ended) this.takeFrames(this.#framer.end())
      return
    }
    this.#waits?.release(true)
    this.#lane.clear()
    this.finish('connect_failed', failed.error.message)
  }

  /** Joins reads that wait into one batch. */
  #nextBatch(failures: FailureList): Batch {
    const { spec } = this.#host
    const reads = this.#lane.takeReads(this.#running.dataflow?.oneMessage === true)
    this.#replies.begin(reads[0]!.sequence)
    if (this.#phase === 'open') this.#lane.resumeBelow(this.#waits)
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

  /**
   * Makes a message of each frame; one that framing or format refuses becomes a failure with its raw bytes. One that was
   * skipped or cut on purpose is told of.
   */
  #decode(frames: Frames, messages: Message[], failures: FailureList): void {
    const { spec, surroundings } = this.#host
    const { format } = spec
    const { bytes, starts, ends, errors } = frames
    for (let i = 0; i < starts.length; i++) {
      let error = errors?.get(i)
      if (error === undefined || error.code === 'frame_cut') {
        try {
          const value = format.parse(bytes, starts[i]!, ends[i]!)
          messages.push(Message.ofFrame(value, this, frames, i, format))
          if (error === undefined) continue
        } catch (thrown) {
          error = toSluiceError(thrown, 'format_invalid')
        }
      }
      const message = Message.ofFrame(null, this, frames, i, undefined)
      countReason(spec.counters.rejected, error.code)
      surroundings.events.emit('frame.rejected', { message, error })
      if (!notices.has(error.code)) failures.add(message, error)
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
    return this.drained()
  }

  drained(): Promise<void> | undefined {
    if (this.#owed.write === 0) return undefined
    this.#writable ??= Promise.withResolvers()
    return this.#writable.promise
  }

  #write(bytes: Buffer, count: number): void {
    const { spec, deadlines } = this.#host
    this.client.bytesOut += bytes.length
    this.client.messagesOut += count
    spec.counters.bytesOut += bytes.length
    spec.counters.messagesOut += count
    if (this.#socket.write(bytes) || this.#owed.write > 0) return
    this.#owed.write = deadlines.tick
    deadlines.watch(this)
  }

  /** Half-closes, then discards input until FIN or the linger time, so that the last answer arrives (RFC 1122, 4.2.2.13). */
  #closeOutput(): void {
    this.#phase = 'closing'
    this.#owed.closing = this.#host.deadlines.tick
    this.#host.deadlines.watch(this)
    this.#lane.resume()
    this.#socket.end()
  }
}

/** Bytes. A larger read tells that more is there than one run takes, and reading ahead fills the next one. */
const SMALL_READ = 16 * 1024
