import { existsSync } from 'node:fs'
import { Command } from 'commander'
import type { Exported } from '../delivery/store-export.ts'
import type { StoreContent, StoreStatus } from '../delivery/store-status.ts'
import { formatDuration } from '../util/units.ts'
import { attempt, DATA_HELP, failed, findDataFolder } from './dead-choice.ts'
import { FILE_HELP } from './plan-file.ts'
import { paint, print, printError } from './terminal.ts'

interface DataOptions {
  readonly data?: string
}

export function dataCommand(): Command {
  return new Command('data')
    .description(
      'look into the data folder: buffers, dead letters and the keys of dedupe, whether the server runs or not',
    )
    .addCommand(statusCommand())
    .addCommand(checkCommand())
    .addCommand(exportCommand())
}

function statusCommand(): Command {
  return folderCommand('status', 'say what is stored, for which step, and since when', async (dir) => {
    const { statusOfStores } = await import('../delivery/store-status.ts')
    const stores = statusOfStores(dir)
    for (const { name, kind, layout, isNewer, size, contents } of stores) {
      const newer = isNewer ? ', newer than this version of Sluice' : ''
      print(`${paint('bold', name)}  layout ${layout}${newer}, ${size} bytes on disk`)
      for (const content of contents) print(`  ${contentInWords(content, kind)}`)
      if (contents.length === 0 && !isNewer) print('  empty')
    }
    if (stores.length === 0) print(`nothing is stored in ${dir}`)
  })
}

function checkCommand(): Command {
  return folderCommand('check', 'look for damage; exit code 1 when there is any', async (dir) => {
    const { checkStores } = await import('../delivery/store-check.ts')
    const { checked, damage } = checkStores(dir)
    for (const one of damage) failed(one)
    if (checked.length === 0) print(`nothing is stored in ${dir}`)
    else if (damage.length === 0) print(paint('green', `no damage in ${checked.join(', ')}`))
  })
}

function exportCommand(): Command {
  return new Command('export')
    .description('write stored messages or keys to standard output, as a line of JSON for each')
    .argument('<what>', 'dead-letters, or the id of a step that has a buffer or is dedupe')
    .argument('[config]', FILE_HELP)
    .option('--data <dir>', DATA_HELP)
    .action(async (what: string, config: string | undefined, { data }: DataOptions) => {
      const dir = await findDataFolder(config, data)
      if (dir === undefined) return
      const { exportDeadLetters, exportStep } = await import('../delivery/store-export.ts')
      const give = (message: Exported) => print(JSON.stringify(message))
      await attempt(() => {
        if (what === 'dead-letters') exportDeadLetters(dir, give)
        else exportStep(dir, what, give, (damaged) => failed(`${damaged} is damaged and left out`))
      })
    })
}

function folderCommand(name: string, description: string, act: (dir: string) => Promise<void>): Command {
  return new Command(name)
    .description(description)
    .argument('[config]', FILE_HELP)
    .option('--data <dir>', DATA_HELP)
    .action(async (config: string | undefined, { data }: DataOptions) => {
      const dir = await findDataFolder(config, data)
      if (dir === undefined) return
      if (existsSync(dir)) return attempt(() => act(dir))
      printError(`there is no folder ${dir}`)
      failed('  → Name the configuration of the server, or its data folder with --data.')
    })
}

function contentInWords({ of, count, oldest, damaged }: StoreContent, kind: StoreStatus['kind']): string {
  const aside = damaged === 0 ? '' : `, ${damaged} damaged entries put aside`
  const age = Math.max(0, Math.round((Date.now() - oldest) / 1000) * 1000)
  return `${of}: ${count} ${kind === 'keys' ? 'keys' : 'messages'}, the oldest from ${new Date(oldest).toISOString()} (${formatDuration(age)} ago)${aside}`
}
