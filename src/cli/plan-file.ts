import type { Plan } from '../config/plan.ts'
import { readPlan } from '../config/read-plan.ts'
import { EXIT } from './exit.ts'
import { hasColors, printError } from './terminal.ts'

/** The configuration file that a command takes when none is named. */
export const DEFAULT_FILE = 'sluice.yaml'

/**
 * Reads a configuration for a command and prints every mistake in it.
 * @returns undefined when there is a mistake; the exit code is then set
 */
export async function planFile(file: string): Promise<Plan | undefined> {
  const { plan, report } = await readPlan(file, process.env, { color: hasColors(process.stderr) })
  if (report !== '') printError(report)
  if (plan === undefined) process.exitCode = EXIT.failed
  return plan
}
