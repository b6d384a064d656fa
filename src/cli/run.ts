import { Command } from 'commander'
import { parseDuration } from '../util/units.ts'
import { chooseFile, FILE_HELP } from './plan-file.ts'

interface RunOptions {
  readonly hints?: boolean
  readonly drain?: string
}

export function runCommand(): Command {
  return new Command('run')
    .description('start the server that a configuration describes')
    .argument('[file]', FILE_HELP)
    .option('--hints', 'print how to talk to each endpoint with nc, telnet, PuTTY and Packet Sender')
    .option('--drain <time>', 'how long a stop may take, such as 30s (default: 15s)')
    .addHelpText('after', '\nSIGTERM and Ctrl-C finish what has arrived, then stop; a second one stops at once.\n')
    .action(async (file: string | undefined, { drain, hints = false }: RunOptions, command: Command) => {
      const deadline = drain === undefined ? undefined : parseDuration(drain)
      if (drain !== undefined && deadline === undefined) {
        return command.error("error: option '--drain' needs a time with a unit, such as 30s")
      }
      const { runFile } = await import('./run-file.ts')
      await runFile(chooseFile(file), { hints, deadline })
    })
}
