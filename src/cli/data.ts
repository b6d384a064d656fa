import { existsSync } from 'node:fs'
import { join, relative } from 'node:path'
import { Command } from 'commander'
import { keysFileOf } from '../contracts/key-file.ts'
import type { Exported } from '../delivery/store-export.ts'
import type { StoreContent, StoreStatus } from '../delivery/store-status.ts'
import { formatDuration } from '../util/units.ts'
import { attempt, DATA_HELP, failed, findDataFolder } from './dead-choice.ts'
import { helpCommand } from './help.ts'
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
    .addCommand(helpCommand())
}

function statusCommand(): Command {
  return folderCommand('status', 'say what is stored, for which step, and since when', async (dir) => {
    const { statusOfStores } = await import('../delivery/store-status.ts')
    const { folders, shown } = await foldersIn(dir)
    const stores = folders.flatMap((folder) =>
      statusOfStores(folder).map((store) => ({ ...store, name: shown(folder, store.name) })),
    )
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
    const { folders, shown } = await foldersIn(dir)
    const results = folders.map((folder) => ({ folder, ...checkStores(folder) }))
    const checked = results.flatMap((one) => one.checked.map((name) => shown(one.folder, name)))
    const damage = results.flatMap((one) => one.damage.map((what) => shown(one.folder, what)))
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
      await attempt(async () => {
        if (what === 'dead-letters') return exportDeadLetters(dir, give)
        const kept = await foldersWith(what, dir)
        // Where nothing is kept, the first folder says so.
        for (const folder of kept.length === 0 ? [dir] : kept)
          exportStep(folder, what, give, (damaged) => failed(`${damaged} is damaged and left out`))
      })
    })
}

/** The data folder, and in it those of the workers behind the first. */
async function foldersIn(dir: string) {
  const { folderOfSlot, slotsIn } = await import('../config/data-folder.ts')
  return {
    folders: [dir, ...slotsIn(dir).map((slot) => folderOfSlot(dir, slot))],
    /** What is said of something in a folder, with that in front where it is not the data folder itself. */
    shown: (folder: string, text: string) => (folder === dir ? text : `${relative(dir, folder)}/${text}`),
  }
}

/** Those in which something waits for a step, or is remembered by it. */
async function foldersWith(step: string, dir: string): Promise<readonly string[]> {
  const { stepsWaitingIn } = await import('../delivery/move-entries.ts')
  const { BUFFERS_FILE } = await import('../delivery/buffers-file.ts')
  const { folders } = await foldersIn(dir)
  const waits = (folder: string) => stepsWaitingIn(join(folder, BUFFERS_FILE)).includes(step)
  return folders.filter((folder) => waits(folder) || existsSync(join(folder, keysFileOf(step))))
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
