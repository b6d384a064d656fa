import { z } from '../contracts/schema.ts'
import type { Duration } from '../wire/link.ts'
import { ConnectionPool, type Pool } from '../wire/pool.ts'
import { abortSignal, type ClientOptions, checkOptions, milliseconds } from './client-options.ts'
import { createSettings } from './client-settings.ts'

export interface PoolOptions<In, Out = In> extends ClientOptions<In, Out> {
  /** Most connections. Default 4. */
  readonly max?: number
  /** A connection that nobody has used for so long is closed; `off` keeps it. Default 30 s. */
  readonly idleTimeout?: Duration
  /** Closes the pool at once when it is aborted: what is under way fails. */
  readonly signal?: AbortSignal
}

/**
 * Makes a pool. It connects when it is asked for the first time.
 * @throws ConfigError for wrong options
 */
export function createPool<In = string, Out = In>(options: PoolOptions<In, Out>): Pool<In, Out> {
  const checked = checkOptions(options, {
    max: z.int().min(1).prefault(4),
    idleTimeout: milliseconds({ off: true }).prefault('30s'),
    signal: abortSignal().optional(),
  })
  const { max, idleTimeout } = checked
  return new ConnectionPool(createSettings<In, Out>(options, checked), { max, idleTimeout, signal: options.signal })
}
