import { whenAborted } from './signals.ts'

/** Lets so many have a thing at a time; the others wait for their turn, first come, first served. */
export class Slots {
  #free: number
  /** Those that wait, oldest first. */
  readonly #waiting = new Set<() => void>()

  /** @param count may be `Infinity` */
  constructor(count: number) {
    this.#free = count
  }

  /**
   * Takes a slot; whoever got one gives it back, once.
   * @param signal ends the wait; without one it is as long as it takes
   * @throws the reason of the signal: there is no slot to give back then
   */
  async take(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    if (this.#free > 0) {
      this.#free--
      return
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const abort = () => {
      this.#waiting.delete(resolve)
      reject(signal!.reason)
    }
    this.#waiting.add(resolve)
    const forget = signal && whenAborted(signal, abort)
    // A signal that is aborted once it has the slot changes nothing: the promise is settled, and nobody waits in the set.
    await promise.finally(forget)
  }

  /** Gives a slot back: the one who has waited longest has it. */
  give(): void {
    const [next] = this.#waiting
    if (next === undefined) {
      this.#free++
      return
    }
    this.#waiting.delete(next)
    next()
  }
}
