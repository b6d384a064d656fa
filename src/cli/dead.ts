import { resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { toSluiceError } from '../contracts/errors.ts'
import { readDeadLetter, readDeadLetters, type StoredDeadLetter } from '../delivery/dead-letters.ts'
import { formatBytes } from '../util/escapes.ts'
import { EXIT } from './exit.ts'
import { paint, print, printError } from './terminal.ts'

export function deadCommand(): Command {
  return new Command('dead')
    .description('look at the messages that failed for good')
    .addCommand(listCommand())
    .addCommand(showCommand())
}

interface ListOptions {
  readonly data: string
  readonly endpoint?: string
  readonly step?: string
  readonly limit: number
}

function listCommand(): Command {
  return new Command('list')
    .description('list dead letters, newest first')
    .option('--data <dir>', 'data folder (data.dir of the configuration)', './sluice-data')
    .option('--endpoint <name>', 'only those of an endpoint')
    .option('--step <id>', 'only those that failed in a step')
    .option('--limit <count>', 'at most so many', parseCount, 50)
    .action(({ data, endpoint, step, limit }: ListOptions) =>
      reading(() => {
        const filter = { limit, ...(endpoint !== undefined && { endpoint }), ...(step !== undefined && { step }) }
        for (const letter of readDeadLetters(fileIn(data), filter)) {
          const { id, time, endpoint, code, reason, raw } = letter
          print(`${paint('bold', String(id))}  ${time}  ${endpoint}  ${paint('red', code)}  ${reason}`)
          print(`    ${formatBytes(raw)}`)
        }
      }),
    )
}

function showCommand(): Command {
  return new Command('show')
    .description('show one dead letter with its bytes')
    .argument('<id>', 'number of the dead letter', parseCount)
    .option('--data <dir>', 'data folder (data.dir of the configuration)', './sluice-data')
    .action((id: number, { data }: { data: string }) =>
      reading(() => {
        const letter = readDeadLetter(fileIn(data), id)
        if (letter === undefined) return failed(`there is no dead letter ${id}`)
        for (const [name, value] of Object.entries(fieldsOf(letter))) print(`${paint('cyan', name.padEnd(9))} ${value}`)
        for (const line of hexLines(letter.raw)) print(`  ${line}`)
      }),
    )
}

function fieldsOf({ raw, ...fields }: StoredDeadLetter): Record<string, unknown> {
  return { ...fields, raw: `${raw.length} bytes` }
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

function fileIn(data: string): string {
  return resolve(data, 'dead-letters.db')
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
