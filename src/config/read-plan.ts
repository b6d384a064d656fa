import { resolve } from 'node:path'
import { createRegistry } from '../registry/builtins.ts'
import type { Registry } from '../registry/registry.ts'
import { ConfigError } from './config-error.ts'
import type { LoadedConfig } from './loaded.ts'
import { type Plan, type Planned, planConfig } from './plan.ts'
import type { CountersByName } from './planner.ts'
import { formatProblems, type Problem } from './problems.ts'
import { valueAt } from './shape.ts'
import { loadConfig } from './source.ts'

/** A configuration file, checked. */
export interface ReadPlan {
  /** Undefined when there is a mistake. */
  readonly plan: Plan | undefined
  readonly problems: readonly Problem[]
  /** All mistakes and warnings, for people to read; '' when there are none. */
  readonly report: string
  /** What stands in the file; undefined for a module. */
  readonly text: string | undefined
  /** The data folder, absolute: as well as it can be told when there is a mistake. */
  readonly dataDir: string
  /** Absolute paths of the files that it was read from, and of folders in which there may be more. */
  readonly watched: readonly string[]
}

export interface ReadOptions {
  readonly color?: boolean
  readonly registry?: Registry
  readonly counters?: CountersByName
  /** What stood in the file when somebody else has read it. */
  readonly text?: string | undefined
}

/** Loads, checks and plans a configuration: what every command that takes one begins with. */
export async function readPlan(file: string, env: NodeJS.ProcessEnv, options: ReadOptions = {}): Promise<ReadPlan> {
  const loaded = await loadConfig(file, options.text)
  const planned = planConfig(loaded, options.registry ?? createRegistry(), env, options.counters)
  const { plan, problems } = await whenReady(planned)
  const report = formatProblems(problems, { color: options.color ?? false })
  const tables = (plan?.endpoints ?? []).flatMap((endpoint) =>
    endpoint.kind === 'connect' ? (endpoint.hostsFile ?? []) : [],
  )
  const watched = [...loaded.watched, ...tables.map((table) => resolve(loaded.baseDir, table))]
  const dataDir = resolve(loaded.baseDir, plan?.data.dir ?? writtenDataDir(loaded))
  return { plan, problems, report, text: loaded.text, watched, dataDir }
}

async function whenReady(planned: Planned): Promise<Planned> {
  try {
    await planned.plan?.ready()
    return planned
  } catch (thrown) {
    if (thrown instanceof ConfigError) return { plan: undefined, problems: thrown.problems }
    throw thrown
  }
}

function writtenDataDir({ value }: LoadedConfig): string {
  const dir = valueAt(value, ['data', 'dir'])
  return typeof dir === 'string' ? dir : 'sluice-data'
}
