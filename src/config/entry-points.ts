import type { EndpointCounters } from '../contracts/counters.ts'
import type { AfterInner } from '../contracts/define.ts'
import type { Format } from '../contracts/format.ts'
import type { Batch, Dataflow, Failures } from '../contracts/message.ts'
import type { BoundDataflow } from '../engine/dataflow.ts'

/**
 * Where the dataflows of an endpoint can be entered, for messages that are retried: at each step, with the rest of the
 * way behind it.
 *
 * ```
 *   dataflow: [ a, route: [ { dataflow: [ b, c ] } ], d ]        retried in b:  b ─▶ c ─▶ d
 * ```
 */
export class EntryPoints {
  readonly format: Format
  readonly counters: EndpointCounters
  /** The whole dataflow, for frames that are parsed again; undefined when the endpoint has none. */
  dataflow: Dataflow | undefined = undefined
  readonly #keyStep: string
  readonly #places = new Map<string, Place[]>()

  /** @param keyStep what is named as the step that failed when the endpoint's `key` did */
  constructor(format: Format, counters: EndpointCounters, keyStep: string) {
    this.format = format
    this.counters = counters
    this.#keyStep = keyStep
  }

  add(step: string, place: Place): void {
    this.#places.set(step, [...(this.#places.get(step) ?? []), place])
  }

  /**
   * The way of a message that failed in a step.
   * @param passed it failed behind the step's buffer, so the steps behind have had it
   * @returns why there is none: a clause
   */
  at(step: string, passed: boolean): Dataflow | string {
    if (step === this.#keyStep && this.dataflow !== undefined) return this.dataflow
    const [place, another] = this.#places.get(step) ?? []
    if (place === undefined) return `there is no step ${step} in the configuration any more`
    if (another !== undefined)
      return `the step ${step} is used in several places, and it is not known in which it failed`
    if (passed) return place.level.flow.part(place.index, place.index + 1)
    return enter(place)
  }
}

/** A dataflow and what is behind it. */
export class Level {
  /** Set when it has been bound; what stands inside its steps is bound before. */
  flow!: BoundDataflow
  /** Where a message goes that comes out of it; undefined when it ends there. */
  readonly behind: Behind | undefined

  constructor(behind?: Behind) {
    this.behind = behind
  }
}

/** A step of a level. */
export interface Place {
  readonly level: Level
  readonly index: number
}

export interface Behind {
  readonly place: Place
  /** Undefined where the step does not tell. */
  readonly then: Exclude<AfterInner, 'end'> | undefined
  /** The word of the step in whose options the dataflow stands. */
  readonly word: string
}

function enter(place: Place): Dataflow | string {
  for (let behind = place.level.behind; behind !== undefined; behind = behind.place.level.behind) {
    if (behind.then === undefined) return `it failed inside a ${behind.word} step, which cannot be entered`
    if (behind.then === 'whole') return enter(behind.place)
  }
  return { run: (batch, failures) => resume(place, batch, failures) }
}

async function resume({ level, index }: Place, batch: Batch, failures: Failures): Promise<Batch> {
  const passed = await level.flow.part(index).run(batch, failures)
  if (level.behind === undefined || passed.length === 0) return passed
  const { place } = level.behind
  return resume({ level: place.level, index: place.index + 1 }, passed, failures)
}
