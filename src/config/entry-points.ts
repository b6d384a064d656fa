import type { Batch } from '../contracts/batch.ts'
import type { EndpointCounters } from '../contracts/counters.ts'
import type { Dataflow, Failures } from '../contracts/dataflow.ts'
import type { AfterInner } from '../contracts/define.ts'
import type { DataflowHooks } from '../contracts/failure.ts'
import type { Format } from '../contracts/format.ts'
import type { Step } from '../contracts/step.ts'
import { type BoundDataflow, createDataflow, type StageSpec } from '../engine/dataflow.ts'

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
   * The way of a message that failed in a step. Steps that run around what is behind them, `dedupe` say, run around it
   * as the first time.
   * @param progress how far it had come
   * @returns why there is none: a clause
   */
  at(step: string, { passed, settled }: Progress): Dataflow | string {
    if (step === this.#keyStep && this.dataflow !== undefined) return this.dataflow
    const [place, another] = this.#places.get(step) ?? []
    if (place === undefined) return `there is no step ${step} in the configuration any more`
    if (another !== undefined)
      return `the step ${step} is used in several places, and it is not known in which it failed`
    if (passed) return place.level.flow.part(place.index, place.index + 1)
    return enter(place, settled ? undefined : step)
  }
}

/** How far a message had come when it became a dead letter. */
export interface Progress {
  /** It failed behind the step's buffer, so the steps behind have had it. */
  readonly passed: boolean
  /** A step has kept it on purpose, so for the steps around that one it has finished. */
  readonly settled: boolean
}

/** A dataflow and what is behind it. */
export class Level {
  /** Set when it has been bound; what stands inside its steps is bound before. */
  flow!: BoundDataflow
  /** Where a message goes that comes out of it; undefined when it ends there. */
  readonly behind: Behind | undefined
  readonly #hooks: DataflowHooks
  readonly #stages: StageSpec[] = []

  constructor(hooks: DataflowHooks, behind?: Behind) {
    this.#hooks = hooks
    this.behind = behind
  }

  /** Binds the steps, of which those inside are bound already. */
  bind(stages: readonly StageSpec[]): BoundDataflow {
    this.#stages.push(...stages)
    this.flow = createDataflow(stages, this.#hooks)
    for (const [i, { step }] of stages.entries()) step?.attach?.(this.flow.part(i + 1))
    return this.flow
  }

  /**
   * Puts around the rest of a way the steps before it that run around what is behind them.
   * @param index of the step in which the way enters
   * @param failedIn step under which a message has failed that did not even get in
   */
  around(index: number, rest: Dataflow, failedIn: string): Dataflow {
    let way = rest
    for (const stage of this.#stages.slice(0, index).reverse()) {
      // What a step that is attached to the rest has sent on, it has settled: it follows nobody to the end.
      if (stage.step?.runAround !== undefined && stage.step.attach === undefined)
        way = wrap(stage, stage.step, way, failedIn, this.#hooks)
    }
    return way
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

/** @param failedIn the step in which it failed; undefined to pass by the steps that run around it */
function enter(place: Place, failedIn: string | undefined): Dataflow | string {
  for (let { behind } = place.level; behind !== undefined; behind = behind.place.level.behind) {
    if (behind.then === undefined) return `it failed inside a ${behind.word} step, which cannot be entered`
    if (behind.then === 'whole') return enter(behind.place, failedIn)
  }
  let { level, index } = place
  let way = level.flow.part(index)
  for (;;) {
    if (failedIn !== undefined) way = level.around(index, way, failedIn)
    if (level.behind === undefined) return way
    ;({ level, index } = level.behind.place)
    way = join(way, level.flow.part(index + 1))
  }
}

function join(first: Dataflow, then: Dataflow): Dataflow {
  return {
    async run(batch, failures) {
      const passed = await first.run(batch, failures)
      return passed.length === 0 ? passed : then.run(passed, failures)
    },
  }
}

/** A step around another rest than its own. It has had the message before, so its condition has been met. */
function wrap(stage: StageSpec, step: Step, rest: Dataflow, failedIn: string, hooks: DataflowHooks): Dataflow {
  const runBatch = (batch: Batch, failures: Failures) => step.runAround!(batch, rest, failures)
  const around = createDataflow([{ ...stage, condition: undefined, step: { runBatch } }], hooks)
  return {
    run: (batch, failures) =>
      around.run(batch, {
        ...(failures.signal && { signal: failures.signal }),
        // It comes from further behind: entered here, it would take the steps between for a second time.
        add: (message, error, at) => failures.add(message, error, at === stage.id ? failedIn : at),
      }),
  }
}
