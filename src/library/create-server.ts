import { ConfigError } from '../config/config-error.ts'
import { configOfValue } from '../config/loaded.ts'
import { type Plan, planConfig } from '../config/plan.ts'
import type { PlannedServer } from '../config/planned-server.ts'
import type { CountersByName } from '../config/planner.ts'
import { createServerFromPlan } from '../config/server.ts'
import { createRegistry } from '../registry/builtins.ts'
import type { Registry } from '../registry/registry.ts'
import type { Config } from './config.ts'

export interface ServerOptions {
  /** The parts that the configuration may name. Default: those that come with Sluice. */
  readonly registry?: Registry
  /** Stops the server, as `stop()` does, when it is aborted. */
  readonly signal?: AbortSignal
  /** Where `${env.NAME}` looks. Default: `process.env`. */
  readonly env?: NodeJS.ProcessEnv
  /** Where relative paths of the configuration start. Default: the working directory. */
  readonly baseDir?: string
}

/** A server of a configuration that is a value. */
export type Server = PlannedServer<Config>

/**
 * Makes a server of a configuration: the same checks and the same engine as for YAML. Nothing is opened before
 * `start()`; `await using` stops it at the end of the block.
 * @throws ConfigError with every mistake at once
 */
export function createServer(config: Config, options: ServerOptions = {}): Server {
  const { signal } = options
  const server = createServerFromPlan(planOf(config, options), {}, (next: Config, counters) =>
    planOf(next, options, counters),
  )
  if (signal?.aborted) void server.stop()
  signal?.addEventListener('abort', () => void server.stop(), { once: true })
  return server
}

/** Plans a configuration that is a value. @throws ConfigError */
export function planOf(config: Config, { registry, env, baseDir }: ServerOptions, counters?: CountersByName): Plan {
  const loaded = configOfValue(config, baseDir ?? '.')
  const { plan, problems } = planConfig(loaded, registry ?? createRegistry(), env ?? process.env, counters)
  if (plan === undefined) throw new ConfigError(problems)
  if (plan.workers === 1) return plan
  const message = 'a program that embeds the server has no workers'
  const hint = 'start several of your own processes, or run the configuration with sluice run'
  throw new ConfigError([{ code: 'WORKERS_UNSUPPORTED', severity: 'error', path: ['workers'], message, hint }])
}
