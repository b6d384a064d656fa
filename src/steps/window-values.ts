import { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { type Expression, expr, z } from '../contracts/schema.ts'
import { type Kept, keepValue } from '../util/kept-value.ts'

/** What a window finds out of its messages: how many there are, or something of what an expression gives for each. */
export const windowValue = z.union([
  z.literal('count'),
  z.strictObject({ sum: expr().describe('The sum of what an expression gives.') }),
  z.strictObject({ min: expr().describe('The smallest.') }),
  z.strictObject({ max: expr().describe('The greatest.') }),
  z.strictObject({ avg: expr().describe('The mean.') }),
  z.strictObject({ first: expr().describe('What the first message gave.') }),
  z.strictObject({ last: expr().describe('What the last message gave.') }),
])

type WindowValue = z.output<typeof windowValue>

/** One value while its window is open. */
export interface Accumulator {
  /** What a message adds. @throws SluiceError `step_failed` for what cannot be added */
  read(message: Message): unknown
  /** Adds what was read. */
  add(value: unknown): void
  /** Null when nothing was added. */
  readonly result: unknown
  /** Bytes of memory that it takes, about. */
  readonly bytes: number
}

/** Makes accumulators of one kind. */
export function accumulatorFor(value: WindowValue): () => Accumulator {
  if (value === 'count')
    return () =>
      new Folded(
        () => 1,
        0,
        (sum) => Number(sum) + 1,
      )
  const [kind, expression] = Object.entries(value)[0] as [keyof typeof makers, Expression]
  return makers[kind](expression)
}

const makers = {
  sum: (of: Expression) => () => new Folded(numberOf(of), null, (sum, n) => Number(sum) + Number(n)),
  min: (of: Expression) => () =>
    new Folded(orderedOf(of), null, (least, n) => (least === null || n < least ? n : least)),
  max: (of: Expression) => () => new Folded(orderedOf(of), null, (most, n) => (most === null || n > most ? n : most)),
  avg: (of: Expression) => () => new Mean(numberOf(of)),
  first: (of: Expression) => () => new First(of),
  last: (of: Expression) => () => new Last(of),
} as const

type Ordered = number | Date

/** Folds values into one. Missing ones are left out. */
class Folded<T extends Ordered> implements Accumulator {
  readonly bytes = NUMBER_COST
  readonly read: (message: Message) => T | null
  readonly #fold: (result: T | null, value: T) => T
  #result: T | null

  constructor(read: (message: Message) => T | null, begin: T | null, fold: (result: T | null, value: T) => T) {
    this.read = read
    this.#fold = fold
    this.#result = begin
  }

  add(value: T | null): void {
    if (value !== null) this.#result = this.#fold(this.#result, value)
  }

  get result(): T | null {
    return this.#result
  }
}

class Mean implements Accumulator {
  readonly bytes = NUMBER_COST
  readonly read: (message: Message) => number | null
  #sum = 0
  #count = 0

  constructor(read: (message: Message) => number | null) {
    this.read = read
  }

  add(value: number | null): void {
    if (value === null) return
    this.#sum += value
    this.#count++
  }

  get result(): number | null {
    return this.#count === 0 ? null : this.#sum / this.#count
  }
}

class Last implements Accumulator {
  readonly #of: Expression
  #kept: Kept = NOTHING

  constructor(of: Expression) {
    this.#of = of
  }

  read(message: Message): Kept {
    return keepValue(this.#of(message) ?? null, message.raw.length)
  }

  add(kept: Kept): void {
    this.#kept = kept
  }

  get result(): unknown {
    return this.#kept.value
  }

  get bytes(): number {
    return this.#kept.size
  }
}

class First extends Last {
  #isGiven = false

  override add(kept: Kept): void {
    if (!this.#isGiven) super.add(kept)
    this.#isGiven = true
  }
}

function numberOf(of: Expression): (message: Message) => number | null {
  return (message) => {
    const value = of(message) ?? null
    if (value === null || typeof value === 'number') return value
    throw noNumber(of, 'a number')
  }
}

function orderedOf(of: Expression): (message: Message) => Ordered | null {
  return (message) => {
    const value = of(message) ?? null
    if (value === null || typeof value === 'number' || value instanceof Date) return value
    throw noNumber(of, 'a number or a time')
  }
}

function noNumber({ source }: Expression, wanted: string): SluiceError {
  const hint = `Make one of it, such as num(${source}).`
  return new SluiceError('step_failed', `the window needs ${wanted}, and ${source} gives something else`, { hint })
}

const NOTHING: Kept = { value: null, size: 0 }

/** Bytes. */
const NUMBER_COST = 64
