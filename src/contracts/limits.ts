/** The bounds of an endpoint. Times in milliseconds, sizes in bytes; a time of 0 means no bound. */
export interface Limits {
  readonly maxConnections: number
  readonly maxFrameLength: number
  /** Bytes read and not yet run, for one connection; also the most that may wait to be sent to it. */
  readonly maxQueued: number
  readonly frameTimeout: number
  readonly writeTimeout: number
  readonly idleTimeout: number
  readonly firstFrameTimeout: number
}
