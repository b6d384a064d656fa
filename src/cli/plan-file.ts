import { existsSync } from 'node:fs'
import type { Plan } from '../config/plan.ts'
import { EXIT } from './exit.ts'
import { hasColors, printError } from './terminal.ts'

/** What commands say of their argument that names a configuration. */
export const FILE_HELP =
  'configuration file, or a folder of them (default: sluice.yaml, else sluice.config.ts, .mts, .js or .mjs)'

/**
 * The configuration file that a command takes: the one that is named, else the first that is there. Where there are
 * several, it is said which one is taken.
 */
export function chooseFile(named: string | undefined): string {
  if (named !== undefined) return named
  const [first = USUAL_FILES[0], ...others] = USUAL_FILES.filter((file) => existsSync(file))
  if (others.length > 0)
    printError(`${first} is taken; there is ${others.join(' and ')} too. Name the file that you mean.`)
  return first
}

const USUAL_FILES = [
  'sluice.yaml',
  'sluice.config.ts',
  'sluice.config.mts',
  'sluice.config.js',
  'sluice.config.mjs',
] as const

/**
 * Reads a configuration for a command and prints every mistake in it.
 * @returns undefined when there is a mistake; the exit code is then set
 */
export async function planFile(file: string): Promise<Plan | undefined> {
  const { readPlan } = await import('../config/read-plan.ts')
  const { plan, report } = await readPlan(file, process.env, { color: hasColors(process.stderr) })
  if (report !== '') printError(report)
  if (plan === undefined) process.exitCode = EXIT.failed
  return plan
}
