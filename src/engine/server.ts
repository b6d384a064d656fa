import type { Address, Clients } from '../contracts/client.ts'
import type { Observed, ObservedEndpoint } from '../contracts/counters.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Listener, Socket } from '../contracts/transport.ts'
import { Dialer } from './dialer.ts'
import type { Directory } from './directory.ts'
import { Endpoint, openListeners } from './endpoint.ts'
import type { ConnectSpec, ListenSpec, Surroundings } from './spec.ts'

/** Where a server is in its life; it goes through these in order, once. */
export type ServerState = 'new' | 'starting' | 'running' | 'draining' | 'stopped'

/**
 * All endpoints together: start, drain, stop.
 *
 * ```
 *   start: bind every address, then dial        a failed bind undoes the others
 *   drain: unbind ─▶ stop dialling and polling ─▶ stop reading ─▶ finish what has arrived ─▶ close
 *                                                    └── when it is late: end what is left
 * ```
 */
export class Engine implements Pick<Observed, 'endpoints'> {
  state: ServerState = 'new'
  readonly clients: Clients
  readonly #surroundings: Surroundings
  readonly #endpoints: readonly { readonly endpoint: Endpoint; readonly spec: ListenSpec | ConnectSpec }[]
  readonly #listeners = new Map<string, readonly Listener[]>()
  readonly #dialers: Dialer[] = []

  constructor(specs: readonly (ListenSpec | ConnectSpec)[], surroundings: Surroundings, directory: Directory) {
    this.clients = directory
    this.#surroundings = surroundings
    this.#endpoints = specs.map((spec) => ({ endpoint: new Endpoint(spec, surroundings, directory), spec }))
  }

  get endpoints(): readonly ObservedEndpoint[] {
    return this.#endpoints.map(({ endpoint, spec }) => ({
      name: spec.name,
      kind: spec.kind,
      counters: spec.counters,
      connections: endpoint.open,
    }))
  }

  /** The real addresses of a `listen:` endpoint: port 0 has become a port. */
  addresses(name: string): readonly Address[] {
    return (this.#listeners.get(name) ?? []).map(({ address }) => address)
  }

  /** @throws SluiceError when an address cannot be bound; nothing is then left open */
  async start(): Promise<void> {
    this.state = 'starting'
    try {
      for (const { endpoint, spec } of this.#endpoints) {
        if (spec.kind === 'listen') this.#listeners.set(spec.name, await openListeners(endpoint, spec))
      }
    } catch (thrown) {
      await this.#unbind()
      const ended = Promise.all(this.#endpoints.map(({ endpoint }) => endpoint.drain()))
      for (const { endpoint } of this.#endpoints) endpoint.terminate()
      await endedOrLate(ended, AbortSignal.timeout(GRACE_MS))
      this.state = 'stopped'
      throw thrown
    }
    for (const { endpoint, spec } of this.#endpoints) {
      if (spec.kind === 'connect') this.#dialers.push(new Dialer(endpoint, spec))
    }
    for (const dialer of this.#dialers) dialer.start()
    this.state = 'running'
    this.#surroundings.events.emit('server.started', {})
  }

  /** Takes a socket that the caller has accepted himself. */
  async handle(socket: Socket, name: string): Promise<void> {
    const found = this.#endpoints.find(({ spec }) => spec.name === name)
    if (found === undefined) throw new SluiceError('internal', `there is no endpoint "${name}"`)
    await found.endpoint.accept(socket)
  }

  /**
   * Stops in order. Called once.
   * @param deadlineMs for those who watch: when `late` will be aborted
   * @param late aborted when what is left shall be ended at once
   */
  async drain(deadlineMs: number, late: AbortSignal): Promise<void> {
    this.state = 'draining'
    const { events } = this.#surroundings
    events.emit('server.draining', { deadlineMs })
    const unbound = this.#unbind()
    for (const dialer of this.#dialers) dialer.stop()
    const ended = Promise.all(this.#endpoints.map(({ endpoint }) => endpoint.drain()))
    whenAborted(late, () => {
      for (const { endpoint } of this.#endpoints) endpoint.terminate()
    })
    await endedOrLate(ended, late)
    await unbound
    this.state = 'stopped'
    events.emit('server.stopped', {})
  }

  async #unbind(): Promise<void> {
    for (const [endpoint, listeners] of this.#listeners) {
      await Promise.all(listeners.map((listener) => listener.close()))
      for (const { address } of listeners) this.#surroundings.events.emit('listener.closed', { endpoint, address })
    }
    this.#listeners.clear()
  }
}

/** Milliseconds that work may still take after it was told that it is late. */
const GRACE_MS = 1000

/** Waits for work, but not much longer than until it is late: a destination that never answers must not hold us. */
export function endedOrLate(work: Promise<unknown>, late: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    const forget = whenAborted(late, () => {
      timer = setTimeout(resolve, GRACE_MS)
    })
    const settled = () => {
      forget()
      clearTimeout(timer)
    }
    work.finally(settled).then(() => resolve(), reject)
  })
}

/** Acts when the signal is aborted, at once if it is already. @returns what takes the wish back */
function whenAborted(signal: AbortSignal, act: () => void): () => void {
  if (signal.aborted) act()
  else signal.addEventListener('abort', act, { once: true })
  return () => signal.removeEventListener('abort', act)
}
