import { Command } from 'commander'
import type { StoredDeadLetter } from '../delivery/dead-letter-rows.ts'
import { formatBytes } from '../util/escapes.ts'
import { dropCommand, retryCommand } from './dead-change.ts'
import {
  attempt,
  type ChoiceOptions,
  DATA_HELP,
  failed,
  findDataFolder,
  findLetters,
  parseCount,
  withChoice,
} from './dead-choice.ts'
import { helpCommand } from './help.ts'
import { hexLines } from './hex-lines.ts'
import { FILE_HELP } from './plan-file.ts'
import { paint, print } from './terminal.ts'

export function deadCommand(): Command {
  return new Command('dead')
    .description('look at the messages that failed for good, retry them or remove them')
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(retryCommand())
    .addCommand(dropCommand())
    .addCommand(helpCommand())
}

function listCommand(): Command {
  return withChoice(new Command('list').description('list dead letters, newest first').argument('[config]', FILE_HELP))
    .option('--limit <count>', 'at most so many', parseCount, 50)
    .action(async (config: string | undefined, options: ChoiceOptions & { readonly limit: number }) => {
      const { data, limit, ...filter } = options
      const dir = await findDataFolder(config, data)
      const file = dir && (await findLetters(dir))
      if (file === undefined) return
      const { readDeadLetters } = await import('../delivery/dead-letter-files.ts')
      await attempt(() => {
        for (const letter of readDeadLetters(file, filter, limit)) {
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
    .option('--data <dir>', DATA_HELP)
    .action(async (id: number, config: string | undefined, { data }: { data?: string }) => {
      const dir = await findDataFolder(config, data)
      const file = dir && (await findLetters(dir))
      if (file === undefined) return
      const { readDeadLetter } = await import('../delivery/dead-letter-files.ts')
      await attempt(() => {
        const letter = readDeadLetter(file, id)
        if (letter === undefined) return failed(`there is no dead letter ${id}`)
        for (const [name, value] of Object.entries(fieldsOf(letter))) print(`${paint('cyan', name.padEnd(9))} ${value}`)
        for (const line of hexLines(letter.raw)) print(`  ${line}`)
      })
    })
}

function fieldsOf({ raw, step, packed, passed: _, ...fields }: StoredDeadLetter): Record<string, unknown> {
  const retry = packed === null ? 'not possible: it was kept without what that needs' : undefined
  return { ...fields, step: step || 'framing or format', raw: `${raw.length} bytes`, ...(retry && { retry }) }
}
