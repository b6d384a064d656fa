import type { ChildProcess } from 'node:child_process'
import type { Socket as NetSocket } from 'node:net'
import type { MetricValues } from '../observe/metrics.ts'
import { Channel, type Handover } from './channel.ts'
import { onReceipt } from './handles.ts'
import type { SupervisorApi, WorkerApi } from './protocol.ts'

/** A connection that the supervisor has accepted. */
export interface Accepted {
  readonly id: number
  /** Name of the endpoint that it came to. */
  readonly endpoint: string
  /** Our copy of it; undefined once a worker has taken it. */
  stream: NetSocket | undefined
}

/** One process of a slot, as the supervisor sees it: from its start to its end. */
export class WorkerHandle {
  readonly slot: number
  readonly pid: number
  readonly channel: Channel<WorkerApi>
  /** Resolves with why it has ended, in a clause, when all that it had said has been heard. */
  readonly ended: Promise<string>
  /** It takes connections. */
  isReady = false
  /** Which configuration it works by; compared, never looked into. */
  source: object
  /** What it had measured when it was last asked. */
  measured: MetricValues = []
  /** Those that were given to it, taken or not, until they are gone. */
  readonly connections = new Map<number, Accepted>()
  readonly #child: ChildProcess
  readonly #byEndpoint = new Map<string, number>()
  #untaken = 0
  /** Ids of those that are on their way, in their order. */
  readonly #sent: number[] = []
  #killing: NodeJS.Timeout | undefined = undefined

  /**
   * @param child just forked
   * @param api what it may ask
   * @param onHandover told of what becomes of connections
   */
  constructor(
    slot: number,
    source: object,
    child: ChildProcess,
    api: (worker: WorkerHandle) => SupervisorApi,
    onHandover: (worker: WorkerHandle, message: Handover) => void,
  ) {
    this.slot = slot
    this.source = source
    this.pid = child.pid ?? 0
    this.#child = child
    this.ended = endOf(child).finally(() => clearTimeout(this.#killing))
    onReceipt(child, (received) => {
      const id = this.#sent.shift()
      // As where a single process has none left: the connection is closed.
      if (!received && id !== undefined) onHandover(this, { kind: 'gone', id })
    })
    this.channel = new Channel<WorkerApi>(child, api(this), (message) => onHandover(this, message))
  }

  /** Connections of an endpoint that are with it now. */
  count(endpoint: string): number {
    return this.#byEndpoint.get(endpoint) ?? 0
  }

  /** Connections that were given to it and that it has not taken. */
  get untaken(): number {
    return this.#untaken
  }

  /** Hands a connection over. @param listener by which it knows where that comes from */
  give(accepted: Accepted, listener: number, handle: object): void {
    this.#sent.push(accepted.id)
    this.#untaken++
    this.connections.set(accepted.id, accepted)
    this.#byEndpoint.set(accepted.endpoint, this.count(accepted.endpoint) + 1)
    // What cannot be sent because the worker has ended is given to another when that is known.
    this.channel.post({ kind: 'socket', id: accepted.id, listener }, handle).catch(() => undefined)
  }

  /** It has taken a connection: ours is closed. */
  take(id: number): void {
    const accepted = this.connections.get(id)
    if (accepted?.stream === undefined) return
    this.#untaken--
    accepted.stream.destroy()
    accepted.stream = undefined
  }

  /** @returns undefined when it is not with this worker */
  remove(id: number): Accepted | undefined {
    const accepted = this.connections.get(id)
    if (accepted === undefined) return undefined
    this.connections.delete(id)
    if (accepted.stream !== undefined) this.#untaken--
    this.#byEndpoint.set(accepted.endpoint, this.count(accepted.endpoint) - 1)
    return accepted
  }

  /**
   * Drains it and ends it. May be called again with a shorter time.
   * @param deadline milliseconds that the drain may take; a worker that takes much longer is killed
   */
  async stop(deadline: number): Promise<void> {
    this.isReady = false
    this.#killAfter(deadline + LAST_MS)
    // One that does not answer has ended, or will be killed.
    await this.channel.ask('stop', deadline).catch(() => undefined)
    this.release()
    await this.ended
  }

  /** Ends it by closing the channel: nothing else keeps it alive. */
  release(): void {
    this.#killAfter(LAST_MS)
    if (this.#child.connected) this.#child.disconnect()
  }

  #killAfter(milliseconds: number): void {
    clearTimeout(this.#killing)
    this.#killing = setTimeout(() => this.#child.kill('SIGKILL'), Math.min(milliseconds, LONGEST_TIMER_MS))
  }
}

/** How much longer than its deadline a worker may take before it is killed, in milliseconds. */
const LAST_MS = 2000

/** Node's timers cannot wait longer. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** How long is waited for what a process had said before it ended, in milliseconds; something it started may hold the channel. */
const CHANNEL_MS = 1000

async function endOf(child: ChildProcess): Promise<string> {
  const silent = new Promise<void>((resolve) => child.once('disconnect', resolve))
  const reason = await new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : `killed by ${signal}`))
    // Also told of messages that could not be sent, which does not end it.
    child.on('error', ({ message }) => {
      if (child.pid === undefined) resolve(`it could not be started: ${message}`)
    })
  })
  if (child.connected) {
    let timer: NodeJS.Timeout | undefined
    await Promise.race([silent, new Promise((resolve) => (timer = setTimeout(resolve, CHANNEL_MS)))])
    clearTimeout(timer)
  }
  return reason
}
