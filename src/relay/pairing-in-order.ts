import { isDeepStrictEqual } from 'node:util'
import { TICK_MS } from '../util/deadlines.ts'
import {
  type Answer,
  type Answerer,
  hold,
  OTHER,
  type Pairing,
  type PairingOptions,
  pairOf,
  release,
} from './pairing.ts'

/**
 * An answer belongs to the first one of the other server that waits and equals it; those before them belong to each other,
 * head to head. So one that a server leaves out, or sends too many, does not shift all that follow:
 *
 * ```
 *   server  A  B  C        A = A,  B without counterpart,  C = C
 *   mirror  A  C
 * ```
 *
 * Answers that equal none wait for the next ones, which show whether they belong to each other or one of them is missing; when no
 * more come they belong to each other after a second. What only the mirror has sent when a client that waits for each answer
 * goes on is one too many.
 */
export class PairingInOrder implements Pairing {
  readonly #options: PairingOptions
  readonly #waiting: { readonly [A in Answerer]: Queue } = { server: new Queue(), mirror: new Queue() }
  #bytes = 0
  /** Messages of the client that the server has not answered, if each gets one answer. */
  #owed = 0
  /** The client sends before it has the answer to what it has sent. */
  #pipelines = false

  constructor(options: PairingOptions) {
    this.#options = options
  }

  asked(): void {
    if (this.#owed > 0) this.#pipelines = true
    const { server, mirror } = this.#waiting
    if (!this.#pipelines && server.length === 0) this.#settle(0, mirror.length)
    this.#owed++
  }

  add(from: Answerer, answer: Answer): void {
    const { maxBytes, overflow } = this.#options
    if (from === 'server' && this.#owed > 0) this.#owed--
    if (!this.#match(from, answer)) {
      this.#waiting[from].push(answer)
      this.#bytes += hold(answer)
    }
    const { server, mirror } = this.#waiting
    this.#settleBoth(Math.min(server.length, mirror.length) - HELD)
    if (this.#bytes > maxBytes) overflow()
  }

  expire(tick: number): void {
    const { server, mirror } = this.#waiting
    const late = tick - this.#options.timeout
    const held = tick - HOLD_TICKS
    this.#settleBoth(Math.max(server.countBefore(late), mirror.countBefore(late)))
    this.#settleBoth(Math.min(server.countBefore(held), mirror.countBefore(held)))
  }

  giveUp(from: Answerer): number {
    const { length } = this.#waiting[from]
    const partners = Math.min(length, this.#waiting[OTHER[from]].length)
    this.#settleBoth(length)
    return length - partners
  }

  clear(): number {
    const { server, mirror } = this.#waiting
    this.#bytes = 0
    return server.take(server.length).length + mirror.take(mirror.length).length
  }

  #match(from: Answerer, answer: Answer): boolean {
    const others = this.#waiting[OTHER[from]]
    const index = others.find(LOOK_AHEAD, ({ value }) => isDeepStrictEqual(value, answer.value))
    if (index === -1) return false
    const before = this.#waiting[from].length
    if (from === 'server') this.#settle(before, index)
    else this.#settle(index, before)
    const [other] = this.#take(OTHER[from], 1)
    this.#options.give(from === 'server' ? pairOf(answer, other) : pairOf(other, answer))
    return true
  }

  /** @param count at most so many of both */
  #settleBoth(count: number): void {
    if (count <= 0) return
    const { server, mirror } = this.#waiting
    this.#settle(Math.min(count, server.length), Math.min(count, mirror.length))
  }

  /** Gives the first so many of both, head to head. */
  #settle(servers: number, mirrors: number): void {
    const server = this.#take('server', servers)
    const mirror = this.#take('mirror', mirrors)
    for (let i = 0; i < Math.max(servers, mirrors); i++) this.#options.give(pairOf(server[i], mirror[i]))
  }

  #take(from: Answerer, count: number): readonly Answer[] {
    const taken = this.#waiting[from].take(count)
    for (const answer of taken) this.#bytes -= release(answer)
    return taken
  }
}

/** So many of both wait for the next ones. */
const HELD = 1

/** So long they wait, in ticks: a second. */
const HOLD_TICKS = 1000 / TICK_MS

/** So many answers that wait are looked at for one that is equal. */
const LOOK_AHEAD = 64

/** Answers in the order in which they came. Taking from a long one costs no more than from a short one. */
class Queue {
  #answers: Answer[] = []
  /** Index of the first that has not been taken. */
  #first = 0

  get length(): number {
    return this.#answers.length - this.#first
  }

  push(answer: Answer): void {
    this.#answers.push(answer)
  }

  /** Takes the first so many. */
  take(count: number): readonly Answer[] {
    if (count === 0) return []
    const end = this.#first + count
    const taken = this.#answers.slice(this.#first, end)
    this.#first = end
    if (this.#first * 2 < this.#answers.length) return taken
    this.#answers = this.#answers.slice(this.#first)
    this.#first = 0
    return taken
  }

  /** @returns the place of one among the first so many, from 0; -1 when there is none */
  find(among: number, is: (answer: Answer) => boolean): number {
    const end = Math.min(this.#answers.length, this.#first + among)
    for (let i = this.#first; i < end; i++) if (is(this.#answers[i]!)) return i - this.#first
    return -1
  }

  /** How many came before a time, in ticks. */
  countBefore(before: number): number {
    let i = this.#first
    while (i < this.#answers.length && this.#answers[i]!.at < before) i++
    return i - this.#first
  }
}
