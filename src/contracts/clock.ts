/**
 * The only source of time, identity and sequence that parts and expressions have, so that a test can repeat a run
 * exactly by bringing its own.
 */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** Milliseconds since some moment, with fractions. It never goes back, whatever is done to the time of the day. */
  elapsed(): number
  /**
   * Waits.
   * @param milliseconds at most 24 days
   * @param signal ends it early
   * @returns whether the time is over; false when it was ended early
   */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<boolean>
  /** A random UUID (RFC 9562, version 4). */
  uuid(): string
  /** 1, 2, 3, … for the life of the process. */
  next(): number
}
