import { isDeepStrictEqual } from 'node:util'

/** Who has answered: the server that the client hears, or the second one. */
export type Answerer = 'server' | 'mirror'

/** One answer of a server. */
export interface Answer {
  readonly value: unknown
  readonly raw: Buffer
  /** Says which answers belong together, where not their order says that. */
  readonly key: string
  /** What the client had sent last when it came. */
  readonly request: unknown
  /** When it came, in ticks. */
  readonly at: number
}

/** Two answers that belong together, or one that has no counterpart. */
export interface Pair {
  readonly server: Answer | undefined
  readonly mirror: Answer | undefined
  readonly equal: boolean
}

export interface PairingOptions {
  /** Answers with the same key belong together; else their order says which do. */
  readonly keyed: boolean
  /** Bytes that may wait; above that the oldest answer waits no longer. */
  readonly maxBytes: number
  readonly give: (pair: Pair) => void
}

/**
 * Finds which answers of two servers belong together.
 *
 * In order, an answer belongs to the first one of the other server that waits and equals it; those before them belong to
 * each other, head to head. So one that a server leaves out, or sends too many, does not shift all that follow:
 *
 * ```
 *   server  A  B  C        A = A,  B without counterpart,  C = C
 *   mirror  A  C
 * ```
 *
 * An answer that equals none waits for as long as the server still owes the client one, and then the heads belong together.
 * What only the mirror has sent when the client goes on, although the server owes nothing, is one too many.
 */
export class Pairing {
  readonly #options: PairingOptions
  /** None of the one list belongs to one of the other. */
  readonly #waiting: { readonly [A in Answerer]: Answer[] } = { server: [], mirror: [] }
  #bytes = 0
  /** Messages of the client that the server has not answered, if each gets one answer. */
  #owed = 0

  constructor(options: PairingOptions) {
    this.#options = options
  }

  /** The client has sent a message. */
  asked(): void {
    if (this.#owed === 0 && !this.#options.keyed) this.#settle(0, this.#waiting.mirror.length)
    this.#owed++
  }

  add(from: Answerer, answer: Answer): void {
    const { keyed, maxBytes } = this.#options
    if (from === 'server' && this.#owed > 0) this.#owed--
    if (!(keyed ? this.#matchKey(from, answer) : this.#matchNext(from, answer))) {
      this.#waiting[from].push(answer)
      this.#bytes += costOf(answer)
    }
    const { server, mirror } = this.#waiting
    if (!keyed && this.#owed === 0) this.#settleBoth(Math.min(server.length, mirror.length))
    while (this.#bytes > maxBytes) this.#giveUpOldest()
  }

  /** Gives up waiting for the counterparts of what came before a time, in ticks. */
  expire(before: number): void {
    const [servers, mirrors] = [this.#waiting.server, this.#waiting.mirror].map((answers) => {
      const young = answers.findIndex(({ at }) => at >= before)
      return young === -1 ? answers.length : young
    }) as [number, number]
    if (!this.#options.keyed) this.#settleBoth(Math.max(servers, mirrors))
    else {
      this.#settle(servers, 0)
      this.#settle(0, mirrors)
    }
  }

  /**
   * The other one answers no more, so what this one has answered waits no longer.
   * @returns how many of its answers have no counterpart
   */
  giveUp(from: Answerer): number {
    const { keyed } = this.#options
    const waiting = this.#waiting[from].length
    const partners = keyed ? 0 : Math.min(waiting, this.#waiting[OTHER[from]].length)
    if (from === 'server') this.#settle(waiting, partners)
    else {
      this.#owed = 0
      this.#settle(partners, waiting)
    }
    return waiting - partners
  }

  /** Forgets what waits. @returns how many answers that was */
  clear(): number {
    this.#bytes = 0
    return this.#waiting.server.splice(0).length + this.#waiting.mirror.splice(0).length
  }

  #matchKey(from: Answerer, answer: Answer): boolean {
    const others = OTHER[from]
    const index = this.#waiting[others].findIndex(({ key }) => key === answer.key)
    if (index === -1) return false
    const [other] = this.#take(others, index, 1)
    this.#give(from, answer, other!)
    return true
  }

  #matchNext(from: Answerer, answer: Answer): boolean {
    const others = OTHER[from]
    const near = this.#waiting[others].slice(0, LOOK_AHEAD)
    const index = near.findIndex(({ value }) => isDeepStrictEqual(value, answer.value))
    if (index === -1) return false
    const before = this.#waiting[from].length
    if (from === 'server') this.#settle(before, index)
    else this.#settle(index, before)
    const [other] = this.#take(others, 0, 1)
    this.#give(from, answer, other!)
    return true
  }

  #give(from: Answerer, answer: Answer, other: Answer): void {
    this.#options.give(from === 'server' ? pairOf(answer, other) : pairOf(other, answer))
  }

  #giveUpOldest(): void {
    const [server, mirror] = [this.#waiting.server[0], this.#waiting.mirror[0]]
    if (!this.#options.keyed) this.#settleBoth(1)
    else if (mirror === undefined || (server !== undefined && server.at <= mirror.at)) this.#settle(1, 0)
    else this.#settle(0, 1)
  }

  /** @param count at most so many of both */
  #settleBoth(count: number): void {
    const { server, mirror } = this.#waiting
    this.#settle(Math.min(count, server.length), Math.min(count, mirror.length))
  }

  /** Gives the first so many of both, head to head. */
  #settle(servers: number, mirrors: number): void {
    const server = this.#take('server', 0, servers)
    const mirror = this.#take('mirror', 0, mirrors)
    for (let i = 0; i < Math.max(servers, mirrors); i++) {
      this.#options.give(pairOf(server[i], mirror[i]))
    }
  }

  #take(from: Answerer, start: number, count: number): readonly Answer[] {
    const taken = this.#waiting[from].splice(start, count)
    for (const answer of taken) this.#bytes -= costOf(answer)
    return taken
  }
}

const OTHER = { server: 'mirror', mirror: 'server' } as const satisfies Record<Answerer, Answerer>

/** So many answers that wait are looked at for one that is equal. */
const LOOK_AHEAD = 64

function pairOf(server: Answer | undefined, mirror: Answer | undefined): Pair {
  const equal = server !== undefined && mirror !== undefined && isDeepStrictEqual(server.value, mirror.value)
  return { server, mirror, equal }
}

/** @returns bytes of memory, about */
function costOf({ raw }: Answer): number {
  return raw.length + ANSWER_COST
}

/** Bytes of memory that an answer takes besides its own: many short ones must not fill the memory with objects. */
const ANSWER_COST = 512
