/** Something that can leave what comes in where it is for a moment. */
export interface Resting {
  /** Reads nothing before `wake`. What has been read already may still be handed out. */
  rest?(): void
  /** Reads on. Harmless without a `rest`. */
  wake?(): void
}

/**
 * Lets readers rest while nothing would be done with what they read, so that all that has come meanwhile is one read. None
 * rests for longer than twice {@link REST_MS}: that the other side has gone must be seen. One timer for all of them.
 */
export class Rests {
  #new = new Set<Resting>()
  /** Those that rested when the timer last fired. */
  #old = new Set<Resting>()
  #timer: NodeJS.Timeout | undefined = undefined

  begin(reader: Resting): void {
    if (reader.rest === undefined || this.#old.has(reader)) return
    reader.rest()
    this.#new.add(reader)
    this.#timer ??= setTimeout(() => this.#look(), REST_MS).unref()
  }

  end(reader: Resting): void {
    if (this.#new.delete(reader) || this.#old.delete(reader)) reader.wake?.()
  }

  #look(): void {
    for (const reader of this.#old) reader.wake?.()
    this.#old.clear()
    ;[this.#old, this.#new] = [this.#new, this.#old]
    this.#timer = this.#old.size > 0 ? setTimeout(() => this.#look(), REST_MS).unref() : undefined
  }
}

export const REST_MS = 20
