import type { ChildProcess } from 'node:child_process'
import { toSluiceError } from '../contracts/errors.ts'
import type { Events } from '../contracts/events.ts'
import { createBackoff } from '../util/backoff.ts'
import type { WorkerSource, WorkerTask } from './protocol.ts'
import type { WorkerHandle } from './worker-handle.ts'

/** What a slot needs of its supervisor. */
export interface SlotSurroundings {
  readonly events: Events
  fork(): ChildProcess
  create(slot: number, child: ChildProcess): WorkerHandle
  task(slot: number): Omit<WorkerTask, 'clientPrefix'>
  /** Which configuration is in force; compared, never looked into. */
  source(): object
  sourceFor(slot: number): WorkerSource
  /** A worker takes connections from now on. */
  ready(worker: WorkerHandle): void
  /** A worker has ended; `ready` may never have been called. */
  ended(worker: WorkerHandle): void
}

/** The place of one worker: when its process ends, another takes its place, and its part of the data. */
export class Slot {
  readonly number: number
  /** The process that runs now, ready or not. */
  worker: WorkerHandle | undefined = undefined
  readonly #around: SlotSurroundings
  readonly #backoff = createBackoff({ first: FIRST_WAIT_MS, max: LONGEST_WAIT_MS })
  /** Processes that there have been. */
  #lives = 0
  /** Ends in a row, none of which came after a good while. */
  #ends = 0
  /** When the process has become ready; undefined while it has not. */
  #readyAt: number | undefined = undefined
  /** Why it could not begin. */
  #failure: string | undefined = undefined
  /** It has been started well once, so that it is started again whenever it ends. */
  #isKept = false
  #isStopping = false
  #timer: NodeJS.Timeout | undefined = undefined

  constructor(number: number, around: SlotSurroundings) {
    this.number = number
    this.#around = around
  }

  /** Starts the first process. @throws SluiceError what keeps it from starting; it is not started again then */
  async start(): Promise<void> {
    await this.#begin()
    this.#isKept = true
  }

  /** Puts another process in the place of one that cannot take a configuration. @param deadline milliseconds of its drain */
  restart(deadline: number, why: string): void {
    this.#failure = why
    void this.worker?.stop(deadline)
  }

  /** Drains and ends it, for good. May be called again with a shorter time. */
  async stop(deadline: number): Promise<void> {
    this.#isStopping = true
    clearTimeout(this.#timer)
    await this.worker?.stop(deadline)
  }

  async #begin(): Promise<void> {
    const { events, create, fork, task, source, sourceFor, ready, ended } = this.#around
    const life = ++this.#lives
    this.#readyAt = undefined
    this.#failure = undefined
    let worker: WorkerHandle
    try {
      worker = create(this.number, fork())
    } catch (thrown) {
      // The system has no room for another process.
      this.#onEnd(0, `it could not be started: ${toSluiceError(thrown, 'internal').message}`)
      throw thrown
    }
    this.worker = worker
    const over = worker.ended.then((reason) => {
      worker.isReady = false
      this.worker = undefined
      ended(worker)
      return reason
    })
    void over.then((reason) => this.#onEnd(worker.pid, reason))
    try {
      await worker.channel.ask('begin', { ...task(this.number), clientPrefix: prefixOf(this.number, life) })
      // A reload may have come meanwhile.
      while (worker.source !== source()) {
        worker.source = source()
        await worker.channel.ask('reload', sourceFor(this.number))
      }
    } catch (thrown) {
      this.#failure = toSluiceError(thrown, 'internal').message
      worker.release()
      const reason = await over
      throw worker.pid === 0 ? new Error(reason) : thrown
    }
    if (this.#isStopping) return
    this.#readyAt = performance.now()
    worker.isReady = true
    events.emit('worker.started', { worker: this.number, pid: worker.pid })
    ready(worker)
  }

  #onEnd(pid: number, reason: string): void {
    if (this.#isStopping || !this.#isKept) return
    const ranWell = this.#readyAt !== undefined && performance.now() - this.#readyAt > WELL_MS
    if (ranWell) {
      this.#ends = 0
      this.#backoff.reset()
    }
    const restartIn = this.#ends++ === 0 ? 0 : this.#backoff.next()
    const why = this.#failure ?? reason
    this.#around.events.emit('worker.exited', { worker: this.number, pid, reason: why, restartIn })
    // What keeps it from starting is told when the process has ended.
    this.#timer = setTimeout(() => void this.#begin().catch(() => undefined), restartIn)
  }
}

/** The first process is replaced at once; from the second end on there is a wait, of at most so many milliseconds. */
const FIRST_WAIT_MS = 200
const LONGEST_WAIT_MS = 30_000

/** A process that has run for so long, in milliseconds, has not ended because of how it began. */
const WELL_MS = 10_000

/** `2.` in the ids of the clients of the second worker; `2r1.` when its process is the second in that place. */
function prefixOf(slot: number, life: number): string {
  return life === 1 ? `${slot}.` : `${slot}r${life - 1}.`
}
