/** What one connection has sent, as it arrived. */
export interface Recording {
  readonly reads: readonly Read[]
  /** The other side has closed. */
  readonly ended: boolean
}

export interface Read {
  readonly bytes: Buffer
  /** Milliseconds since 1970. */
  readonly time: number
}

/** Everything that a connection has sent, in one buffer. */
export function bytesOf({ reads }: Recording): Buffer {
  return Buffer.concat(reads.map(({ bytes }) => bytes))
}

/**
 * What arrived without a pause of at least {@link PAUSE_MS}, in one buffer each. A message is seldom sent with a pause in
 * it, so these are often messages.
 */
export function burstsOf({ reads }: Recording): Buffer[] {
  const bursts: Buffer[][] = []
  let last = Number.NEGATIVE_INFINITY
  for (const { bytes, time } of reads) {
    if (time - last >= PAUSE_MS) bursts.push([])
    bursts.at(-1)!.push(bytes)
    last = time
  }
  return bursts.map((parts) => Buffer.concat(parts))
}

/** The shortest silence that counts as a pause, in milliseconds: longer than a slow serial converter makes in a message. */
export const PAUSE_MS = 30
