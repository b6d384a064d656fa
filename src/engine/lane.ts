import type { Waits } from '../clients/waits.ts'
import { Frames } from '../contracts/framing.ts'
import type { Socket } from '../contracts/transport.ts'
import { MAX_FRAMES } from '../wire/framer.ts'
import type { EndpointSpec, EventJob } from './spec.ts'

/**
 * What has arrived on a connection and not been run, in order. It is bounded: above `maxQueued` the socket is paused, and
 * TCP's window holds the sender; it reads on below half of that.
 */
export class Lane {
  #jobs: (Frames | EventJob)[] = []
  /** Bytes of the reads that wait. What found the lane idle is not among them. */
  #queued = 0
  /** Written here alone. */
  paused = false
  readonly #socket: Socket
  readonly #spec: EndpointSpec

  constructor(socket: Socket, spec: EndpointSpec) {
    this.#socket = socket
    this.#spec = spec
  }

  get empty(): boolean {
    return this.#jobs.length === 0
  }

  add(job: EventJob): void {
    this.#jobs.push(job)
  }

  /** @param waits false when the lane is idle, so that it is run at once */
  addFrames(frames: Frames, waits: boolean): void {
    this.#jobs.push(frames)
    if (!waits) return
    this.#queued += frames.size
    this.#spec.counters.queuedBytes += frames.size
  }

  /** Takes the event that is next; undefined when reads are. */
  takeEvent(): EventJob | undefined {
    const [job] = this.#jobs
    if (job === undefined || !('event' in job)) return undefined
    this.#jobs.shift()
    return job
  }

  /**
   * Takes the reads that wait, as many as make one batch: batches grow exactly when the lane is slow.
   * @param single one frame only
   */
  takeReads(single: boolean): readonly Frames[] {
    const [first] = this.#jobs
    if (single && first instanceof Frames && first.count > 1) this.#jobs.splice(0, 1, ...first.split())
    let taken = 0
    let count = 0
    let bytes = 0
    const most = single ? 1 : MAX_FRAMES
    for (let job = this.#jobs[0]; count < most && job instanceof Frames; job = this.#jobs[++taken]) {
      count += job.count
      bytes += job.size
    }
    const reads = this.#jobs.splice(0, taken) as Frames[]
    this.#uncount(bytes)
    return reads
  }

  /** What stands here already may be what a new wait is for. */
  offerTo(waits: Waits): void {
    this.#jobs = this.#jobs.flatMap<Frames | EventJob>((job) => {
      if ('event' in job) return job
      const left = waits.offer(job)
      if (left.length === 0) this.#uncount(job.size)
      return left
    })
  }

  /** Drops everything but the end of the connection. */
  clear(): void {
    this.#jobs = this.#jobs.filter((job) => 'event' in job && job.event === 'disconnect')
    this.#uncount(this.#queued)
  }

  /**
   * Pauses the socket when too much waits.
   * @param waits hold bytes of this connection, too
   * @returns true when it has just been paused
   */
  pauseAbove(waits: Waits | undefined): boolean {
    if (this.paused || this.#waiting(waits) <= this.#spec.limits.maxQueued) return false
    this.paused = true
    this.#spec.counters.readsPaused++
    this.#socket.pause()
    return true
  }

  /** Reads on when little enough waits. */
  resumeBelow(waits: Waits | undefined): void {
    if (this.paused && this.#waiting(waits) <= this.#spec.limits.maxQueued / 2) this.resume()
  }

  resume(): void {
    if (this.paused) this.#socket.resume()
    this.paused = false
  }

  #waiting(waits: Waits | undefined): number {
    return this.#queued + this.#jobs.length * READ_COST + (waits?.size ?? 0)
  }

  #uncount(bytes: number): void {
    const counted = Math.min(bytes, this.#queued)
    this.#queued -= counted
    this.#spec.counters.queuedBytes -= counted
  }
}

/** Bytes of memory that a read takes besides its own: a sender of tiny packets must not fill the memory with objects. */
const READ_COST = 512
