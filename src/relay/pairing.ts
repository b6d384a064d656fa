import { isDeepStrictEqual } from 'node:util'

/** Who has answered: the server that the client hears, or the second one. */
export type Answerer = 'server' | 'mirror'

/** What the client had sent last when answers came. They share it, and its bytes count once. */
export class Asked {
  readonly raw: Buffer
  #holders = 0

  constructor(raw: Buffer) {
    this.raw = raw
  }

  /** Something waits with it. @returns bytes of memory that are held because of that */
  hold(): number {
    return this.#holders++ === 0 ? this.raw.length : 0
  }

  /** It waits no longer. @returns bytes of memory that are free because of that */
  release(): number {
    return --this.#holders === 0 ? this.raw.length : 0
  }
}

/** One answer of a server. */
export interface Answer {
  readonly value: unknown
  readonly raw: Buffer
  /** Says which answers belong together, where not their order says that; undefined when the answer has none. */
  readonly key: string | undefined
  /** What the client had sent last when it came. */
  readonly request: Asked | undefined
  /** When it came; milliseconds since 1970. */
  readonly time: number
  /** The same in ticks, which nobody sets. */
  readonly at: number
}

/** Two answers that belong together, or one that has no counterpart. */
export interface Pair {
  readonly server: Answer | undefined
  readonly mirror: Answer | undefined
  readonly equal: boolean
}

export interface PairingOptions {
  /** Bytes that may wait. */
  readonly maxBytes: number
  /** How long an answer waits for its counterpart, in ticks. */
  readonly timeout: number
  readonly give: (pair: Pair) => void
  /** More waits. What is given from now on need not be true, so `clear` is to be called. */
  readonly overflow: () => void
}

/** Finds which answers of two servers belong together. An answer whose counterpart is not there yet waits. */
export interface Pairing {
  /** The client has sent a message. */
  asked(): void
  add(from: Answerer, answer: Answer): void
  /** Gives what has waited long enough. @param tick the present */
  expire(tick: number): void
  /**
   * The other one answers no more, so what this one has answered waits no longer.
   * @returns how many of its answers have no counterpart
   */
  giveUp(from: Answerer): number
  /** Forgets what waits. @returns how many answers that was */
  clear(): number
}

/** The other one of the two. */
export const OTHER = { server: 'mirror', mirror: 'server' } as const satisfies Record<Answerer, Answerer>

export function pairOf(server: Answer | undefined, mirror: Answer | undefined): Pair {
  const equal = server !== undefined && mirror !== undefined && isDeepStrictEqual(server.value, mirror.value)
  return { server, mirror, equal }
}

/** An answer waits. @returns bytes of memory that it takes, about */
export function hold({ raw, request }: Answer): number {
  return raw.length + ANSWER_COST + (request?.hold() ?? 0)
}

/** It waits no longer. @returns bytes that are free */
export function release({ raw, request }: Answer): number {
  return raw.length + ANSWER_COST + (request?.release() ?? 0)
}

/** Bytes of memory that an answer takes besides its own: many short ones must not fill the memory with objects. */
const ANSWER_COST = 512
