import { isDeepStrictEqual } from 'node:util'
import type { DialOptions, TlsLayer } from './transport.ts'

/** What a `connect:` endpoint connects to, and keeps connected. */
export interface Device {
  /** What `hosts:` calls it: the id of its client. Undefined for the only one of an endpoint without `hosts:`. */
  readonly id: string | undefined
  /** What `hosts:` says of it besides its address; the client begins with these tags. */
  readonly tags: Readonly<Record<string, string>>
  readonly dial: Omit<DialOptions, 'signal'>
  /** Milliseconds before the first attempt, so that many devices are not called at the same moment. */
  readonly delay: number
  readonly tls: TlsLayer | undefined
}

/** Whether a connection to the one is a connection to the other too. */
export function isSameDevice(a: Device, b: Device): boolean {
  return isDeepStrictEqual([a.dial, a.tags], [b.dial, b.tags])
}
