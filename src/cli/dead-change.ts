import { join } from 'node:path'
import { Command } from 'commander'
import type { DeadLetterGroup } from '../delivery/dead-letter-files.ts'
import {
  attempt,
  type ChoiceOptions,
  failed,
  findDataFolder,
  findLetters,
  parseCount,
  withChoice,
} from './dead-choice.ts'
import { FILE_HELP } from './plan-file.ts'
import { paint, print, printError } from './terminal.ts'

interface ChangeOptions extends ChoiceOptions {
  readonly config?: string
  readonly all?: boolean
  readonly yes?: boolean
  readonly dryRun?: boolean
}

export function retryCommand(): Command {
  return changeCommand('retry', 'let the running server try dead letters again, from the step in which they failed')
    .addHelpText(
      'after',
      '\nWhat succeeds is removed. What fails again stays, with its new error and all its attempts.\n',
    )
    .action((ids: number[], options: ChangeOptions, command: Command) => change(ids, options, command, retry))
}

export function dropCommand(): Command {
  return changeCommand('drop', 'remove dead letters for good, whether the server runs or not').action(
    (ids: number[], options: ChangeOptions, command: Command) =>
      change(ids, options, command, async (chosen, _, file) => {
        const { dropDeadLetters } = await import('../delivery/dead-letter-files.ts')
        let count = 0
        for (const some of inChunks(chosen)) count += dropDeadLetters(file, some)
        print(paint('green', `${lettersInWords(count)} removed`))
      }),
  )
}

function changeCommand(name: string, description: string): Command {
  const command = new Command(name)
    .description(description)
    .argument('[ids...]', 'numbers of dead letters', (text: string, before: number[] = []) => [
      ...before,
      parseCount(text),
    ])
    .option('--config <file>', FILE_HELP)
  return withChoice(command)
    .option('--all', 'all of them')
    .option('--dry-run', 'only say which ones')
    .option('--yes', 'needed for more than one')
}

/** Finds what was chosen, says what it is, and does it if it was meant. */
async function change(
  ids: number[] | undefined,
  { config, data, all = false, yes = false, dryRun = false, ...filter }: ChangeOptions,
  command: Command,
  act: (ids: readonly number[], dir: string, file: string) => Promise<void>,
): Promise<void> {
  const isChosen = (ids?.length ?? 0) > 0 || Object.keys(filter).length > 0
  if (isChosen === all) {
    return command.error(`error: name dead letters by number, or choose them by --endpoint and the like, or take --all`)
  }
  const dir = await findDataFolder(config, data)
  const file = dir && (await findLetters(dir))
  if (dir === undefined || file === undefined) return
  await attempt(async () => {
    const { findDeadLetters } = await import('../delivery/dead-letter-files.ts')
    const found = findDeadLetters(file, { ...filter, ids: ids?.length ? ids : undefined })
    const missing = (ids ?? []).filter((id) => !found.ids.includes(id))
    if (missing.length > 0) failed(`there is no dead letter ${missing.join(', ')} among those that were chosen`)
    if (found.ids.length === 0) {
      if (missing.length === 0) print('there is none of these')
      return
    }
    if (dryRun || found.ids.length > 1) for (const line of summaryOf(found.groups)) print(line)
    if (dryRun) return
    if (found.ids.length > 1 && !yes) {
      return failed(`that is ${lettersInWords(found.ids.length)}; with --yes it is done`)
    }
    await act(found.ids, dir, file)
  })
}

async function retry(ids: readonly number[], dir: string): Promise<void> {
  const { CONTROL_SOCKET } = await import('../admin/control-protocol.ts')
  const { askControl } = await import('../admin/control-client.ts')
  let done = 0
  let repliesSkipped = 0
  let left = 0
  for (const some of inChunks(ids)) {
    const report = await askControl(join(dir, CONTROL_SOCKET), { command: 'retryDeadLetters', ids: some })
    done += report.done.length
    left += report.kept.length
    repliesSkipped += report.repliesSkipped
    for (const { id, reason, tried } of report.kept)
      printError(`${id}: ${tried ? 'failed again' : 'not tried'}: ${reason}`)
  }
  const skipped = repliesSkipped === 0 ? '' : `; ${repliesSkipped} answers skipped, because nobody waits for them`
  print(paint('green', `${lettersInWords(done)} delivered${skipped}`))
  if (left > 0) failed(`${lettersInWords(left)} left`)
}

function summaryOf(groups: readonly DeadLetterGroup[]): string[] {
  return groups.map(
    ({ endpoint, step, code, count }) =>
      `${String(count).padStart(7)}  ${endpoint}  ${step || 'framing or format'}  ${code}`,
  )
}

function lettersInWords(count: number): string {
  return count === 1 ? '1 dead letter' : `${count} dead letters`
}

/** So many at once that a request stays short, and that others may write in between. */
const CHUNK = 500

function inChunks(ids: readonly number[]): (readonly number[])[] {
  return Array.from({ length: Math.ceil(ids.length / CHUNK) }, (_, i) => ids.slice(i * CHUNK, (i + 1) * CHUNK))
}
