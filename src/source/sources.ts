import type { Observed, ObservedEndpoint } from '../contracts/counters.ts'
import { endedOrLate } from '../util/signals.ts'
import { SourceEndpoint } from './endpoint.ts'
import type { SourceSpec, SourceSurroundings } from './spec.ts'

/**
 * All endpoints without connections together: start, reload, drain. It stands beside the engine, which has those with
 * connections.
 */
export class Sources implements Pick<Observed, 'endpoints'> {
  readonly #around: SourceSurroundings
  readonly #endpoints = new Map<string, SourceEndpoint>()
  /** Taken away by a reload, and not yet at the end of their work. */
  readonly #leaving = new Set<SourceEndpoint>()
  #draining = false

  constructor(around: SourceSurroundings) {
    this.#around = around
  }

  get endpoints(): readonly ObservedEndpoint[] {
    return Array.from(this.#endpoints.values(), ({ spec: { name, kind, counters }, open }) => {
      return { name, kind, counters, connections: open ? 1 : 0 }
    })
  }

  /**
   * Puts other specs in the place of those that work. An endpoint whose subscription is made of the same options keeps it,
   * and its next run takes the new dataflow; another one begins when the old one of its name has finished, so that no
   * message is under way in both.
   * @returns resolves when nothing old is in use any more. Never rejects
   */
  async exchange(specs: readonly SourceSpec[]): Promise<void> {
    const before = new Map(this.#endpoints)
    const work: Promise<unknown>[] = []
    this.#endpoints.clear()
    for (const spec of specs) {
      const old = before.get(spec.name)
      if (old?.canTake(spec)) {
        before.delete(spec.name)
        this.#endpoints.set(spec.name, old)
        work.push(old.replace(spec))
        continue
      }
      this.#endpoints.set(spec.name, new SourceEndpoint(spec, this.#around))
    }
    for (const [name, old] of before) work.push(this.#leave(name, old))
    for (const name of this.#endpoints.keys()) this.#beginWhereFree(name)
    await Promise.allSettled(work)
  }

  /** Stops in order: no more messages, what has come is finished and settled, then the connections are closed. */
  async drain(): Promise<void> {
    this.#draining = true
    const all = [...this.#endpoints.values(), ...this.#leaving]
    await endedOrLate(Promise.allSettled(all.map((endpoint) => endpoint.drain())), this.#around.late)
  }

  /** Drains an endpoint that a reload has taken away. */
  async #leave(name: string, old: SourceEndpoint): Promise<void> {
    this.#leaving.add(old)
    await old.drain().catch(() => undefined)
    this.#leaving.delete(old)
    this.#beginWhereFree(name)
  }

  /** One that has come in the place of another begins when that one has finished. */
  #beginWhereFree(name: string): void {
    const isTaken = Array.from(this.#leaving).some(({ spec }) => spec.name === name)
    if (!isTaken && !this.#draining) this.#endpoints.get(name)?.begin()
  }
}
