/**
 * The only source of time, identity and sequence that parts and expressions have, so that a test can repeat a run
 * exactly by bringing its own.
 */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** A random UUID (RFC 9562, version 4). */
  uuid(): string
  /** 1, 2, 3, … for the life of the process. */
  next(): number
}
