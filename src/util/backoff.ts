export interface BackoffOptions {
  /** Milliseconds that the first wait is at most. */
  readonly first: number
  /** Milliseconds that no wait exceeds. */
  readonly max: number
  /** Gives numbers in [0, 1); default `Math.random`. */
  readonly random?: () => number
}

/** Growing waits between attempts. */
export interface Backoff {
  /** Milliseconds to wait before the next attempt: a whole number from 1 up. */
  next(): number
  /** Starts again with the first wait; to be called after a success. */
  reset(): void
}

/**
 * Exponential backoff with full jitter: each wait is drawn evenly between nothing and a bound that doubles every time.
 * The whole range is used, so that many that failed together do not come back together.
 */
export function createBackoff({ first, max, random = Math.random }: BackoffOptions): Backoff {
  let bound = Math.min(first, max)
  return {
    next() {
      const wait = 1 + Math.floor(random() * bound)
      bound = Math.min(bound * 2, max)
      return Math.min(wait, max)
    },
    reset() {
      bound = Math.min(first, max)
    },
  }
}
