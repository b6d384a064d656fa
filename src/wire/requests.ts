import { type SluiceError, toSluiceError } from '../contracts/errors.ts'
import { Alarm } from './alarm.ts'
import { timedOut } from './client-errors.ts'
import type { RequestId } from './link.ts'

/** What a message is to the requests that are under way. */
export type Taken = 'answer' | 'late' | 'unrequested'

/**
 * The requests of one connection that have been sent and not been answered. A message answers the oldest request whose
 * `match` takes it, else the oldest with its id, else, when it has no id, the oldest of those that are answered in order.
 *
 * A request that was given up keeps its place: the message that would have been its answer is dropped, and so is never
 * taken for the answer to the next. Those that have an id or a `match` of their own may stay without an answer for ever, so
 * only the youngest of them are remembered.
 */
export class Requests<In> {
  /** Called whenever none is open any more. */
  onIdle: (() => void) | undefined = undefined
  /** Called for an open one whose time is over; it must be given up then. */
  onOverdue: (request: Request<In>) => void = () => undefined
  readonly #idOf: ((message: In) => RequestId | undefined) | undefined
  readonly #maxLate: number
  readonly #matched: Request<In>[] = []
  readonly #byId = new Map<RequestId, Request<In>[]>()
  readonly #ordered: Request<In>[] = []
  /** Given up, not in order, oldest first. */
  readonly #late = new Set<Request<In>>()
  #open = 0
  /** Given up, and in order. */
  #lateInOrder = 0
  /** Messages so far that were dropped for a request that was given up. */
  #dropped = 0
  readonly #alarm = new Alarm((now) => this.#ring(now))
  /** Why the last message could not be compared. */
  #trouble: SluiceError | undefined = undefined

  /**
   * @param idOf reads the id of a message; without it answers come in order
   * @param maxLate how many that were given up, and have an id or a `match`, are remembered
   */
  constructor(idOf: ((message: In) => RequestId | undefined) | undefined, maxLate: number) {
    this.#idOf = idOf
    this.#maxLate = maxLate
  }

  /** Those that still wait. */
  get open(): number {
    return this.#open
  }

  /** Those whose answer must still come: the open ones, and those given up whose place in the order is kept. */
  get size(): number {
    return this.#open + this.#lateInOrder
  }

  add(request: Request<In>): void {
    request.droppedBefore = this.#dropped
    this.#listOf(request).push(request)
    this.#open++
    if (request.deadline !== undefined) this.#alarm.at(request.deadline)
  }

  /** Gives a message to the request that it answers. */
  take(message: In): Taken {
    const request = this.#take(message)
    if (request?.open !== true) return this.#unwanted(request)
    this.#settle(request)
    request.resolve(message)
    return 'answer'
  }

  /** A message that could not be read; it has a place in the order and no id. */
  takeError(error: SluiceError): Taken {
    const request = this.#ordered.shift()
    if (request?.open !== true) return this.#unwanted(request)
    this.#settle(request)
    request.reject(error)
    return 'answer'
  }

  /** The request waits no longer, and its answer may still come. Nothing happens to one that has been answered. */
  giveUp(request: Request<In>, error: unknown): void {
    if (!request.open) return
    this.#settle(request)
    request.reject(error)
    if (isInOrder(request)) {
      this.#lateInOrder++
      return
    }
    this.#late.add(request)
    for (const oldest of this.#late) {
      if (this.#late.size <= this.#maxLate) break
      this.#forget(oldest)
    }
  }

  /** None of them can be answered any more. */
  failAll(error: SluiceError): void {
    const all = this.#all()
    this.#alarm.stop()
    this.#matched.length = 0
    this.#ordered.length = 0
    this.#byId.clear()
    this.#late.clear()
    this.#lateInOrder = 0
    for (const request of all) {
      if (!request.open) continue
      this.#settle(request)
      request.reject(error)
    }
  }

  /** Why a request got no answer, as far as can be told from here. */
  timedOut(request: Request<In>): SluiceError {
    const text = `no answer came within ${request.timeout} ms`
    if (request.droppedBefore < this.#dropped) {
      const hint =
        'If the other side leaves requests unanswered, tell answers apart with id or match, or set whenTimedOut: close.'
      return timedOut(`${text}; what came was taken for the late answer to an earlier request`, hint)
    }
    if (this.#trouble === undefined) return timedOut(text)
    return timedOut(`${text}; the last message could not be compared: ${this.#trouble.message}`)
  }

  #take(message: In): Request<In> | undefined {
    const index = this.#matched.length === 0 ? -1 : this.#matched.findIndex((one) => this.#isMatch(one, message))
    if (index !== -1) {
      const [request] = this.#matched.splice(index, 1)
      this.#late.delete(request!)
      return request
    }
    if (this.#idOf === undefined) return this.#ordered.shift()
    const id = this.#compare(() => this.#idOf!(message), undefined)
    if (id === undefined) return this.#ordered.shift()
    const request = this.#byId.get(id)?.[0]
    if (request !== undefined) this.#forget(request)
    return request
  }

  #all(): Request<In>[] {
    return [...this.#matched, ...this.#ordered, ...[...this.#byId.values()].flat()]
  }

  /** @returns when the next one is overdue */
  #ring(now: number): number {
    let next = Number.POSITIVE_INFINITY
    for (const request of this.#all()) {
      const { deadline } = request
      if (!request.open || deadline === undefined) continue
      if (deadline <= now) this.onOverdue(request)
      else next = Math.min(next, deadline)
    }
    return this.#open === 0 ? Number.POSITIVE_INFINITY : next
  }

  /** Nobody waits for a message. @param request the one that was given up and would have been answered */
  #unwanted(request: Request<In> | undefined): Taken {
    if (request === undefined) return 'unrequested'
    if (isInOrder(request)) this.#lateInOrder--
    this.#dropped++
    return 'late'
  }

  #isMatch({ match }: Request<In>, message: In): boolean {
    return this.#compare(() => match!(message), false)
  }

  /** A comparison that throws has found no match; what it threw is told when the request times out. */
  #compare<T>(compare: () => T, otherwise: T): T {
    try {
      return compare()
    } catch (thrown) {
      this.#trouble = toSluiceError(thrown)
      return otherwise
    }
  }

  #listOf({ id, match }: Request<In>): Request<In>[] {
    if (match !== undefined) return this.#matched
    if (id === undefined) return this.#ordered
    const list = this.#byId.get(id) ?? []
    this.#byId.set(id, list)
    return list
  }

  #forget(request: Request<In>): void {
    this.#late.delete(request)
    const list = this.#listOf(request)
    list.splice(list.indexOf(request), 1)
    if (list.length === 0 && request.id !== undefined) this.#byId.delete(request.id)
  }

  #settle(request: Request<In>): void {
    request.open = false
    request.forget?.()
    this.#open--
    if (this.#open === 0) this.onIdle?.()
  }
}

/** How a request is told and timed. */
export type RequestSettings<In> = Pick<Request<In>, 'id' | 'match' | 'timeout' | 'deadline'>

/** A request that has been sent. */
export class Request<In> {
  /** False once it has been answered or given up. */
  open = true
  /** How many messages had been dropped when it was sent. */
  droppedBefore = 0
  /** Ends what listens to its signal. */
  forget: (() => void) | undefined = undefined
  /** When it is overdue, of `performance.now()`; undefined for never. */
  readonly deadline: number | undefined
  /** Milliseconds that it may take in all. */
  readonly timeout: number
  readonly id: RequestId | undefined
  readonly match: ((message: In) => boolean) | undefined
  readonly resolve: (message: In) => void
  readonly reject: (error: unknown) => void

  constructor(
    { id, match, timeout, deadline }: RequestSettings<In>,
    resolve: (message: In) => void,
    reject: (error: unknown) => void,
  ) {
    this.timeout = timeout
    this.deadline = deadline
    this.id = id
    this.match = match
    this.resolve = resolve
    this.reject = reject
  }
}

function isInOrder({ id, match }: Request<never>): boolean {
  return id === undefined && match === undefined
}
