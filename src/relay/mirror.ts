import type { Client } from '../contracts/client.ts'
import { countReason } from '../contracts/counters.ts'
import type { Socket, SocketHandler } from '../contracts/transport.ts'
import type { Host } from '../engine/spec.ts'
import { type Timed, toTicks } from '../util/deadlines.ts'
import { Comparison } from './comparison.ts'
import type { MirrorSpec } from './spec.ts'
import type { Reached } from './upstreams.ts'

/** What a mirror needs of the relay that it belongs to. */
export interface Mirrored {
  readonly client: Client
  readonly host: Host
  /** Nothing of the mirror is left to do. */
  over(): void
}

/**
 * A second server that is sent what a client sends, and whose answers no client gets.
 *
 * ```
 *   client ──▶ server          the client's conversation: nothing here holds it up, changes or ends it
 *          └─▶ mirror          a copy: up to limits.maxQueued bytes may wait for it, then it is left behind
 * ```
 *
 * A mirror that cannot be reached, is too slow or ends early is gone for the rest of the client's connection, and told of.
 */
export class Mirror implements SocketHandler, Timed {
  readonly #spec: MirrorSpec
  readonly #around: Mirrored
  readonly #dialling = new AbortController()
  /** What came before it was reached, in order. */
  #early: { readonly from: 'client' | 'server'; readonly chunk: Buffer }[] = []
  #earlyBytes = 0
  #reached: Reached | undefined = undefined
  #comparison: Comparison | undefined = undefined
  /** `finishing`: the client has said all. `closed`: nothing is sent to it or heard from it. */
  #state: 'open' | 'finishing' | 'closed' = 'open'
  /** When the client and its server were done, in ticks; 0 before. */
  #left = 0

  /** Begins at once. */
  constructor(spec: MirrorSpec, around: Mirrored) {
    this.#spec = spec
    this.#around = around
    if (spec.upstreams.available) void this.#connect()
    else this.#state = 'closed'
  }

  get over(): boolean {
    return this.#state === 'closed' && this.#comparison?.isIdle !== false
  }

  get pending(): Promise<void> | undefined {
    return this.#comparison?.pending
  }

  /** Takes what the client has sent. */
  write(chunk: Buffer): void {
    if (this.#state !== 'open') return
    const { socket } = this.#reached ?? {}
    if (socket === undefined) this.#keep('client', chunk)
    else if (socket.queued > 0 && socket.queued + chunk.length > this.#maxQueued) this.#leaveBehind()
    else this.#pass(socket, chunk)
  }

  /** The client has said all. */
  end(): void {
    if (this.#state !== 'open') return
    this.#state = 'finishing'
    this.#reached?.socket.end()
  }

  /** Takes what the server has answered. */
  answered(chunk: Buffer): void {
    if (this.#reached !== undefined) this.#compare('server', chunk)
    else if (this.#state !== 'closed' && this.#spec.compare !== undefined) this.#keep('server', chunk)
  }

  /** The client and its server are done. What the mirror still has to answer it may, for a while. */
  finish(): void {
    this.end()
    this.#comparison?.ended('server')
    if (this.#state === 'closed') return
    this.#left = this.#around.host.deadlines.tick
    this.#around.host.deadlines.watch(this)
  }

  /** Ends at once, as a stream that broke. What it has not answered is not its fault. */
  reset(): void {
    this.#comparison?.abandon()
    if (this.#state === 'closed') return
    this.#state = 'finishing'
    if (this.#reached === undefined) this.#giveUp()
    else this.#reached.socket.reset()
  }

  checkDeadlines(tick: number): boolean {
    this.#comparison?.expire(tick)
    // What it had answered before it closed waits for the server, which may never answer.
    if (this.#state === 'closed') return this.#comparison?.isOver === false
    const linger = toTicks(this.#spec.compare?.timeout ?? LINGER_MS)
    if (this.#left > 0 && tick - this.#left >= linger) this.#reached?.socket.destroy()
    return true
  }

  onData(chunk: Buffer): void {
    this.#compare('mirror', chunk)
  }

  onEnd(): void {
    this.#reached!.socket.end()
    if (this.#state === 'open') this.#tell(`is no longer mirrored: ${this.#reached!.target} closed the connection`)
    this.#state = 'finishing'
    this.#comparison?.ended('mirror')
  }

  onDrain(): void {}

  onClose(error: Error | undefined): void {
    const { release, target } = this.#reached!
    release()
    if (this.#state === 'open') {
      this.#tell(`is no longer mirrored: ${target}: ${error?.message ?? 'the connection ended'}`)
    }
    this.#comparison?.ended('mirror')
    this.#close()
  }

  async #connect(): Promise<void> {
    const { upstreams, compare } = this.#spec
    const { client, host } = this.#around
    const { signal } = this.#dialling
    let reached: Reached
    try {
      reached = await upstreams.reach(client, signal)
    } catch {
      // That it cannot be reached has been told of.
      this.#giveUp()
      return
    }
    if (signal.aborted) {
      reached.release()
      reached.socket.destroy()
      return
    }
    this.#reached = reached
    if (compare !== undefined) {
      const around = { client, host, tell: (what: string) => this.#tell(what), idle: () => this.#tellIfOver() }
      this.#comparison = new Comparison(compare, around)
      host.deadlines.watch(this)
    }
    reached.socket.start(this)
    for (const { from, chunk } of this.#early.splice(0)) {
      if (from === 'server') this.#compare('server', chunk)
      else this.#pass(reached.socket, chunk)
    }
    if (this.#state === 'finishing') reached.socket.end()
    if (this.#left > 0) this.#comparison?.ended('server')
  }

  #pass(socket: Socket, chunk: Buffer): void {
    this.#comparison?.asked(chunk)
    socket.write(chunk)
  }

  get #maxQueued(): number {
    return this.#around.host.spec.limits.maxQueued
  }

  #keep(from: 'client' | 'server', chunk: Buffer): void {
    this.#early.push({ from, chunk })
    this.#earlyBytes += chunk.length
    if (this.#earlyBytes > this.#maxQueued) this.#leaveBehind()
  }

  /** It takes less than the client sends, and the client must not wait. */
  #leaveBehind(): void {
    countReason(this.#around.host.spec.counters.rejected, 'overrun')
    this.#tell('is no longer mirrored: more than limits.maxQueued bytes waited for the second server')
    this.reset()
  }

  #compare(from: 'server' | 'mirror', chunk: Buffer): void {
    const broken = this.#comparison?.answered(from, chunk)
    if (broken === undefined) return
    const who = from === 'server' ? 'its server' : this.#reached!.target
    this.#tell(`is mirrored and no longer compared: what ${who} answers breaks the framing (${broken})`)
    if (from === 'mirror') this.#comparison?.ended('mirror')
    else this.#comparison?.abandon()
  }

  #tell(what: string): void {
    const { client, host } = this.#around
    host.surroundings.events.emit('part.logged', {
      level: 'warn',
      step: `listen.${client.endpoint}.relay.mirror`,
      text: `${client.id} ${what}`,
      client,
    })
  }

  /** It was never reached. */
  #giveUp(): void {
    this.#dialling.abort()
    this.#early = []
    this.#close()
  }

  #close(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#tellIfOver()
  }

  #tellIfOver(): void {
    if (this.over) this.#around.over()
  }
}

/** How long a mirror whose answers nobody compares may take to end, in milliseconds. */
const LINGER_MS = 2000
