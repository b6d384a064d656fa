import type { Client } from '../contracts/client.ts'
import type { Conversation } from '../contracts/conversation.ts'
import { type CloseReason, closeReasonOf, SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import type { Socket } from '../contracts/transport.ts'
import type { Host } from '../engine/spec.ts'
import { type Timed, toTicks } from '../util/deadlines.ts'
import { Inspection } from './inspection.ts'
import { Mirror } from './mirror.ts'
import { Side } from './side.ts'
import type { Direction, Inspect, RelaySpec } from './spec.ts'
import type { Reached, Upstreams } from './upstreams.ts'

/**
 * A client of a relay and the connection to the server behind it.
 *
 * ```
 *   client ── onData ──▶ write ──▶ server      a full side pauses the other; FIN is handed on when all before it is
 *          ◀── write ◀── onData ──             sent, so either direction may end before the other
 * ```
 *
 * Nothing of the client is read before a server has taken the connection.
 */
export class Relay implements Conversation, Timed {
  readonly client: Client
  /** Messages of a relay are nothing that a poll could wait for. */
  readonly received = 0
  readonly #host: Host
  readonly #upstreams: Upstreams
  /** Directions whose last delivery has not ended. */
  #inspected = 0
  readonly #dialling = new AbortController()
  readonly #near: Side
  #far: Side | undefined = undefined
  #mirror: Mirror | undefined = undefined
  #reached: Reached | undefined = undefined
  #reason: CloseReason | undefined = undefined
  #detail = ''
  /** When bytes last came from either side, in ticks. */
  #active: number
  /** When one side was gone and the other only had to take what waits for it, in ticks; 0 before. */
  #left = 0
  /** It ends when neither side has sent anything for a while. */
  #awaitsPause = false

  constructor(socket: Socket, client: Client, host: Host, upstreams: Upstreams) {
    this.client = client
    this.#host = host
    this.#upstreams = upstreams
    this.#active = host.deadlines.tick
    this.#near = new Side(socket, {
      data: (chunk) => this.#tookIn(chunk),
      paused: () => void host.spec.counters.readsPaused++,
      ended: () => {
        this.#because('client_closed')
        this.#mirror?.end()
      },
      closed: (error) => this.#clientClosed(error),
    })
  }

  get pending(): Promise<unknown> | undefined {
    const working = [this.#near.inspection, this.#far?.inspection, this.#mirror]
    const runs = working.flatMap((one) => one?.pending ?? [])
    return runs.length === 0 ? undefined : Promise.all(runs)
  }

  open(): void {
    if (this.#host.spec.limits.idleTimeout > 0) this.#host.deadlines.watch(this)
    void this.#connect()
  }

  /** Bytes that nobody has asked for would break what the two sides say to each other. */
  send(): boolean {
    this.#host.spec.counters.sendsSkipped++
    return false
  }

  async wait(): Promise<Message> {
    throw new SluiceError('wait_failed', 'the connection is relayed as bytes, so no message can be waited for')
  }

  /**
   * Reads the client no more and tells the server so. What the server still sends is delivered until it closes. A drain waits for a
   * pause first: nobody here knows where a message ends, and the half of one would look whole to the server.
   */
  finish(reason: CloseReason, detail = ''): void {
    this.#because(reason, detail)
    this.client.state = 'closing'
    if (this.#far === undefined) this.#giveUp()
    else if (reason === 'drained') {
      this.#awaitsPause = true
      this.#active = this.#host.deadlines.tick
      this.#host.deadlines.watch(this)
    } else this.#stopReading(reason)
  }

  terminate(reason: CloseReason, detail = ''): void {
    this.#reason = reason
    this.#detail = detail
    if (this.#far === undefined) this.#giveUp()
    else {
      this.#near.reset()
      this.#far.reset()
      this.#mirror?.reset()
    }
  }

  checkDeadlines(tick: number): boolean {
    const { idleTimeout } = this.#host.spec.limits
    if (this.#awaitsPause && tick - this.#active >= toTicks(PAUSE_MS)) {
      this.#awaitsPause = false
      this.#stopReading('drained')
    }
    const last = this.#near.closed ? this.#far! : this.#near
    const mayEnd = this.#left > 0 && this.#inspected === 0 && last.socket.queued === 0
    if (mayEnd && tick - this.#left >= toTicks(LINGER_MS)) {
      last.destroy()
      return false
    }
    if (idleTimeout === 0 || tick - this.#active < toTicks(idleTimeout)) {
      return idleTimeout > 0 || this.#left > 0 || this.#awaitsPause
    }
    this.terminate('idle_timeout', `neither side sent anything for ${idleTimeout} ms`)
    return false
  }

  async #connect(): Promise<void> {
    let reached: Reached
    try {
      reached = await this.#upstreams.reach(this.client, this.#dialling.signal)
    } catch (thrown) {
      if (this.#dialling.signal.aborted) return
      this.terminate('upstream_failed', toSluiceError(thrown, 'connection_refused').message)
      return
    }
    if (this.#dialling.signal.aborted) {
      reached.release()
      reached.socket.destroy()
      return
    }
    this.#reached = reached
    const far = new Side(reached.socket, {
      data: (chunk) => this.#tookOut(chunk),
      paused: () => {},
      ended: () => this.#because('upstream_closed', `${reached.target} closed the connection`),
      closed: (error) => this.#upstreamClosed(error, reached.target),
    })
    this.#far = far
    const { inspect, mirror }: RelaySpec = this.#host.spec
    if (mirror !== undefined) {
      const { client } = this
      this.#mirror = new Mirror(mirror, { client, host: this.#host, over: () => this.#endIfOver() })
    }
    this.#near.join(far, this.#inspection('toServer', inspect, this.#near, far))
    far.join(this.#near, this.#inspection('toClient', inspect, far, this.#near))
    far.start()
    this.#near.start()
  }

  #inspection(direction: Direction, inspect: Inspect | undefined, from: Side, to: Side): Inspection | undefined {
    if (inspect?.dataflows[direction] === undefined) return undefined
    this.#inspected++
    return new Inspection(direction, inspect.mode, from.socket, to.socket, {
      client: this.client,
      host: this.#host,
      ended: () => {
        this.#inspected--
        this.#endIfOver()
      },
      broken: (reason, detail) => this.terminate(reason, detail),
    })
  }

  #stopReading(reason: CloseReason): void {
    this.#near.stopReading(reason)
    this.#mirror?.end()
  }

  /** Ends a client that has no server yet. */
  #giveUp(): void {
    if (this.#dialling.signal.aborted) return
    this.#dialling.abort()
    this.#near.start()
    this.#near.destroy()
  }

  #tookIn(chunk: Buffer): void {
    const { client } = this
    const { surroundings, spec, deadlines } = this.#host
    client.bytesIn += chunk.length
    client.lastSeen = surroundings.clock.now()
    spec.counters.bytesIn += chunk.length
    this.#active = deadlines.tick
    this.#mirror?.write(chunk)
  }

  #tookOut(chunk: Buffer): void {
    this.client.bytesOut += chunk.length
    this.#host.spec.counters.bytesOut += chunk.length
    this.#active = this.#host.deadlines.tick
    this.#mirror?.answered(chunk)
  }

  #because(reason: CloseReason, detail = ''): void {
    if (this.#reason !== undefined) return
    this.#reason = reason
    this.#detail = detail
  }

  #clientClosed(error: Error | undefined): void {
    this.#because(closeReasonOf(error), error?.message)
    this.client.state = 'closed'
    this.#host.deadlines.forget(this)
    if (this.#near.ended) {
      // The server gets what the client has sent to its end, whether or not that one can still hear an answer.
      this.#mirror?.finish()
      this.#linger(this.#far)
    } else {
      this.#far?.reset()
      // The server's answers are not heard any more, so there is nothing to compare those of the mirror with.
      this.#mirror?.reset()
    }
    this.#host.closed(this.client, this.#reason!, this.#detail)
    this.#endIfOver()
  }

  #upstreamClosed(error: Error | undefined, target: string): void {
    this.#reached!.release()
    // What is still queued for the client is dropped with it.
    if (error !== undefined || !this.#far!.ended) {
      this.#because('upstream_failed', `${target}: ${error?.message ?? 'the connection ended'}`)
      this.#near.reset()
    } else this.#linger(this.#near)
    this.#endIfOver()
  }

  /** The other side is gone, and has said all. */
  #linger(last: Side | undefined): void {
    if (last === undefined || last.closed) return
    this.#left = this.#host.deadlines.tick
    this.#host.deadlines.watch(this)
  }

  #endIfOver(): void {
    if (this.#inspected > 0 || !this.#near.closed || this.#mirror?.over === false) return
    if (this.#far === undefined || this.#far.closed) this.#host.ended(this)
  }
}

/** How long neither side has sent anything when a message is taken to have ended, in milliseconds. */
const PAUSE_MS = 1000

/** How long a side may take for its FIN when the other one is gone and has said all, in milliseconds. */
const LINGER_MS = 2000
