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

/** Answers with the same key belong together; of several with the same one, the first of both. One without belongs to none. */
export class PairingByKey implements Pairing {
  readonly #options: PairingOptions
  /** By their key; no key is in both. */
  readonly #waiting: { readonly [A in Answerer]: Map<string, Answer[]> } = { server: new Map(), mirror: new Map() }
  #bytes = 0

  constructor(options: PairingOptions) {
    this.#options = options
  }

  asked(): void {}

  add(from: Answerer, answer: Answer): void {
    const { maxBytes, give, overflow } = this.#options
    const { key } = answer
    const other = key === undefined ? undefined : this.#take(OTHER[from], key)
    if (key === undefined || other !== undefined) {
      give(from === 'server' ? pairOf(answer, other) : pairOf(other, answer))
      return
    }
    const same = this.#waiting[from].get(key)
    if (same === undefined) this.#waiting[from].set(key, [answer])
    else same.push(answer)
    this.#bytes += hold(answer)
    if (this.#bytes > maxBytes) overflow()
  }

  expire(tick: number): void {
    const before = tick - this.#options.timeout
    this.#giveUp('server', before)
    this.#giveUp('mirror', before)
  }

  giveUp(from: Answerer): number {
    return this.#giveUp(from, Number.POSITIVE_INFINITY)
  }

  clear(): number {
    const { server, mirror } = this.#waiting
    const waiting = [...server.values(), ...mirror.values()]
    server.clear()
    mirror.clear()
    this.#bytes = 0
    return waiting.flat().length
  }

  /** @returns how many it was */
  #giveUp(from: Answerer, before: number): number {
    let count = 0
    for (const [key, answers] of this.#waiting[from]) {
      const old = answers.filter(({ at }) => at < before)
      for (const _ of old) {
        const answer = this.#take(from, key)
        this.#options.give(from === 'server' ? pairOf(answer, undefined) : pairOf(undefined, answer))
      }
      count += old.length
    }
    return count
  }

  #take(from: Answerer, key: string): Answer | undefined {
    const answers = this.#waiting[from].get(key)
    const answer = answers?.shift()
    if (answers?.length === 0) this.#waiting[from].delete(key)
    if (answer !== undefined) this.#bytes -= release(answer)
    return answer
  }
}
