import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { toSluiceError } from '../contracts/errors.ts'
import type { StoredDeadLetter } from '../delivery/dead-letters.ts'
import { formatBytes } from '../util/escapes.ts'
import { parseDuration } from '../util/units.ts'
import { EXIT } from './exit.ts'
import { chooseFile, FILE_HELP, planFile } from './plan-file.ts'
import { paint, print, printError } from './terminal.ts'

export function deadCommand(): Command {
  return new Command('dead')
    .description('look at the messages that failed for good')
    .addCommand(listCommand())
    .addCommand(showCommand())
}

interface ListOptions {
  readonly data?: string
  readonly endpoint?: string
  readonly step?: string
  readonly since?: number
  readonly limit: number
}

function listCommand(): Command {
  return new Command('list')
    .description('list dead letters, newest first')
    .argument('[config]', FILE_HELP)
    .option('--data <dir>', DATA)
    .option('--endpoint <name>', 'only those of an endpoint')
    .option('--step <id>', 'only those that failed in a step')
    .option('--since <time>', 'only those of the last time, such as 1h', parseTime)
    .option('--limit <count>', 'at most so many', parseCount, 50)
    .action(async (config: string | undefined, { data, since, ...filter }: ListOptions) => {
      const file = await findFile(config, data)
      if (file === undefined) return
      const { readDeadLetters } = await import('../delivery/dead-letters.ts')
      reading(() => {
        const from = since === undefined ? undefined : Date.now() - since
        for (const letter of readDeadLetters(file, { ...filter, since: from })) {
          const { id, time, endpoint, code, reason, raw } = letter
          print(`${paint('bold', String(id))}  ${time}  ${endpoint}  ${paint('red', code)}  ${reason}`)
          print(`    ${formatBytes(raw)}`)
        }
      })
    })
}

function showCommand(): Command {
  return new Command('show')
    .description('show one dead letter with its bytes')
    .argument('<id>', 'number of the dead letter', parseCount)
    .argument('[config]', FILE_HELP)
    .option('--data <dir>', DATA)
    .action(async (id: number, config: string | undefined, { data }: { data?: string }) => {
      const file = await findFile(config, data)
      if (file === undefined) return
      const { readDeadLetter } = await import('../delivery/dead-letters.ts')
      reading(() => {
        const letter = readDeadLetter(file, id)
        if (letter === undefined) return failed(`there is no dead letter ${id}`)
        for (const [name, value] of Object.entries(fieldsOf(letter))) print(`${paint('cyan', name.padEnd(9))} ${value}`)
        for (const line of hexLines(letter.raw)) print(`  ${line}`)
      })
    })
}

const DATA = 'data folder, instead of data.dir of the configuration (default: ./sluice-data without one)'

/**
 * The file of the dead letters: in the folder that was named, else where the configuration has it.
 * @returns undefined when there is none; that has been said
 */
async function findFile(config: string | undefined, data: string | undefined): Promise<string | undefined> {
  const dir = data === undefined ? await dataFolder(config) : resolve(data)
  if (dir === undefined) {
    printError('--data names the data folder without the configuration')
    return undefined
  }
  const { DEAD_LETTERS_FILE } = await import('../delivery/dead-letters.ts')
  const file = join(dir, DEAD_LETTERS_FILE)
  if (existsSync(file)) return file
  failed(`no dead letters yet in ${dir}; if the server keeps them elsewhere, name its configuration, or --data`)
  return undefined
}

async function dataFolder(config: string | undefined): Promise<string | undefined> {
  const file = chooseFile(config)
  if (config === undefined && !existsSync(file)) return resolve('sluice-data')
  const plan = await planFile(file)
  return plan && resolve(plan.baseDir, plan.data.dir)
}

function fieldsOf({ raw, step, ...fields }: StoredDeadLetter): Record<string, unknown> {
  return { ...fields, step: step || 'framing or format', raw: `${raw.length} bytes` }
}

/** Sixteen bytes a line: offset, hexadecimal, text. */
function hexLines(bytes: Uint8Array): string[] {
  const lines: string[] = []
  for (let at = 0; at < bytes.length; at += 16) {
    const part = Buffer.from(bytes.subarray(at, at + 16))
    const hex = part.toString('hex').replaceAll(/(..)/g, '$1 ').padEnd(48)
    const text = part.toString('latin1').replaceAll(/[^\x20-\x7e]/g, '.')
    lines.push(`${at.toString(16).padStart(6, '0')}  ${hex} ${text}`)
  }
  return lines
}

function reading(work: () => void): void {
  try {
    work()
  } catch (thrown) {
    failed(toSluiceError(thrown, 'storage_failed').message)
  }
}

function failed(sentence: string): void {
  printError(sentence)
  process.exitCode = EXIT.failed
}

function parseCount(text: string): number {
  const count = Number(text)
  if (!Number.isSafeInteger(count) || count < 1) throw new InvalidArgumentError('a whole number from 1 on is needed')
  return count
}

function parseTime(text: string): number {
  const time = parseDuration(text)
  if (time === undefined) throw new InvalidArgumentError('a time with a unit is needed, such as 1h')
  return time
}
