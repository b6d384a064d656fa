import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { toSluiceError } from '../contracts/errors.ts'
import type { DeadLetterFilter } from '../delivery/dead-letter-files.ts'
import { parseDuration } from '../util/units.ts'
import { EXIT } from './exit.ts'
import { chooseFile, planFile } from './plan-file.ts'
import { printError } from './terminal.ts'

export const DATA_HELP = 'data folder, instead of data.dir of the configuration (default: ./sluice-data without one)'

/** Options of commands that choose dead letters by what they are. */
export interface ChoiceOptions extends Omit<DeadLetterFilter, 'ids'> {
  readonly data?: string
}

/** Adds the options of {@link ChoiceOptions}. */
export function withChoice(command: Command): Command {
  return command
    .option('--data <dir>', DATA_HELP)
    .option('--endpoint <name>', 'only those of an endpoint')
    .option('--step <id>', 'only those that failed in a step; "" for framing and format')
    .option('--code <code>', 'only those with a code of error, such as sink_unavailable')
    .option('--since <time>', 'only those given up since then: 1h for the last hour, or 2026-01-31T18:00Z', parseMoment)
    .option('--until <time>', 'only those given up before that', parseMoment)
}

/**
 * The data folder: the one that was named, else where the configuration has it.
 * @returns undefined when there is none; that has been said
 */
export async function findDataFolder(
  config: string | undefined,
  data: string | undefined,
): Promise<string | undefined> {
  if (data !== undefined) return resolve(data)
  const file = chooseFile(config)
  if (config === undefined && !existsSync(file)) return resolve('sluice-data')
  const plan = await planFile(file)
  if (plan !== undefined) return resolve(plan.baseDir, plan.data.dir)
  printError('--data names the data folder without the configuration')
  return undefined
}

/**
 * The file of the dead letters in a data folder.
 * @returns undefined when there is none; that has been said
 */
export async function findLetters(dir: string): Promise<string | undefined> {
  const { DEAD_LETTERS_FILE } = await import('../delivery/dead-letters.ts')
  const file = join(dir, DEAD_LETTERS_FILE)
  if (existsSync(file)) return file
  failed(`no dead letters yet in ${dir}; if the server keeps them elsewhere, name its configuration, or --data`)
  return undefined
}

/** Does something that may fail with a sentence. */
export async function attempt(work: () => void | Promise<void>): Promise<void> {
  try {
    await work()
  } catch (thrown) {
    const { message, hint } = toSluiceError(thrown, 'storage_failed')
    failed(message)
    if (hint !== undefined) printError(`  → ${hint}`)
  }
}

export function failed(sentence: string): void {
  printError(sentence)
  process.exitCode = EXIT.failed
}

export function parseCount(text: string): number {
  const count = Number(text)
  if (!Number.isSafeInteger(count) || count < 1) throw new InvalidArgumentError('a whole number from 1 on is needed')
  return count
}

/** @returns milliseconds since 1970 */
function parseMoment(text: string): number {
  const ago = parseDuration(text)
  const moment = ago === undefined && /^\d{4}-/.test(text) ? Date.parse(text) : Date.now() - (ago ?? Number.NaN)
  if (Number.isNaN(moment)) throw new InvalidArgumentError('a time is needed: 1h for an hour ago, or 2026-01-31T18:00Z')
  return moment
}
