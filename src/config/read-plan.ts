import { createRegistry } from '../registry/builtins.ts'
import type { Registry } from '../registry/registry.ts'
import { type Plan, planConfig } from './plan.ts'
import { formatProblems } from './problems.ts'
import { loadConfig } from './source.ts'

/** A configuration file, checked. */
export interface ReadPlan {
  /** Undefined when there is a mistake. */
  readonly plan: Plan | undefined
  /** All mistakes and warnings, for people to read; '' when there are none. */
  readonly report: string
}

/** Loads, checks and plans a configuration file: what every command that takes one begins with. */
export async function readPlan(
  file: string,
  env: NodeJS.ProcessEnv,
  options: { readonly color?: boolean; readonly registry?: Registry } = {},
): Promise<ReadPlan> {
  const loaded = await loadConfig(file)
  const { plan, problems } = planConfig(loaded, options.registry ?? createRegistry(), env)
  return { plan, report: formatProblems(problems, { color: options.color ?? false }) }
}
