import { join, resolve } from 'node:path'
import { Command } from 'commander'
import { toSluiceError } from '../contracts/errors.ts'
import { EXIT } from './exit.ts'
import { chooseFile, FILE_HELP } from './plan-file.ts'
import { hasColors, paint, print, printError } from './terminal.ts'

export function reloadCommand(): Command {
  return new Command('reload')
    .description('let the running server take its changed configuration, without refusing or dropping anybody')
    .argument('[file]', FILE_HELP)
    .option('--data <dir>', 'data folder of the server, where it is not what the configuration says now')
    .addHelpText('after', '\nWith any mistake nothing changes. The server reads the file that it was started with.\n')
    .action(async (named: string | undefined, { data }: { data?: string }) => {
      const { CONTROL_SOCKET } = await import('../admin/control-protocol.ts')
      const { askControl } = await import('../admin/control-client.ts')
      const found = data === undefined ? await findDataFolder(chooseFile(named)) : { folder: resolve(data), report: '' }
      try {
        const reloaded = await askControl(join(found.folder, CONTROL_SOCKET), { command: 'reload' })
        const { file, warnings, restart, ...changes } = reloaded
        if (warnings !== '') printError(warnings)
        for (const [what, names] of Object.entries(changes))
          if (names.length > 0) print(`${what.padEnd(10)}${names.join(', ')}`)
        for (const setting of restart) print(paint('yellow', `needs a restart: ${setting}`))
        print(paint('green', `${file} is in force`))
      } catch (thrown) {
        const { code, message, hint } = toSluiceError(thrown, 'internal')
        // The server has found the same mistakes, where it could be asked.
        if (code === 'connection_refused' && found.report !== '') printError(found.report)
        printError(message)
        if (hint !== undefined) printError(`  → ${hint}`)
        process.exitCode = EXIT.failed
      }
    })
}

/** The server says what is wrong with the configuration; here it is only asked where its data folder is. */
async function findDataFolder(file: string): Promise<{ readonly folder: string; readonly report: string }> {
  const { readPlan } = await import('../config/read-plan.ts')
  const { dataDir, report } = await readPlan(file, process.env, { color: hasColors(process.stderr) })
  return { folder: dataDir, report }
}
