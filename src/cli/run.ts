import { Command } from 'commander'
import { parseDuration } from '../util/units.ts'
import { chooseFile, FILE_HELP } from './plan-file.ts'

interface RunOptions {
  readonly hints?: boolean
  readonly drainTimeout?: string
  readonly watch?: boolean
}

export function runCommand(): Command {
  return new Command('run')
    .description('start the server that a configuration describes')
    .argument('[file]', FILE_HELP)
    .option('--hints', 'print how to talk to each endpoint with nc, telnet, PuTTY and Packet Sender')
    .option('--watch', 'reload when a file of the configuration changes')
    .option('--drain-timeout <time>', 'how long a stop may take, such as 30s (default: 15s)')
    .addHelpText('after', SIGNALS)
    .action(async (file: string | undefined, options: RunOptions, command: Command) => {
      const { drainTimeout, hints = false, watch = false } = options
      const deadline = drainTimeout === undefined ? undefined : parseDuration(drainTimeout)
      if (drainTimeout !== undefined && deadline === undefined) {
        return command.error("error: option '--drain-timeout' needs a time with a unit, such as 30s")
      }
      const { runFile } = await import('./run-file.ts')
      await runFile(chooseFile(file), { hints, deadline, watch })
    })
}

const SIGNALS = `
SIGTERM and Ctrl-C finish what has arrived, then stop; a second one stops at once.
SIGHUP reloads the file, as sluice reload does.
`
