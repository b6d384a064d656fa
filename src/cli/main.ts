import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { checkCommand } from './check.ts'
import { completeCommand, completionCommand } from './completion.ts'
import { connectCommand } from './connect.ts'
import { dataCommand } from './data.ts'
import { deadCommand } from './dead.ts'
import { EXIT } from './exit.ts'
import { helpCommand } from './help.ts'
import { listCommand } from './list.ts'
import { newCommand } from './new.ts'
import { reloadCommand } from './reload.ts'
import { runCommand } from './run.ts'
import { schemaCommand } from './schema.ts'
import { sniffCommand } from './sniff.ts'
import { testCommand } from './test.ts'

/**
 * Runs the command line.
 * @param args what follows the program's name
 */
export async function main(args: readonly string[]): Promise<void> {
  const program = createProgram()
  throwInsteadOfExit(program)
  process.stdout.on('error', onOutputError)
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage
  }
}

/** All commands and what is said of them: one file for each command, and this table. The reference page is made from it. */
export function createProgram(): Command {
  const program = new Command('sluice')
    .description('A TCP server that you configure instead of program.')
    .version(readVersion(), '-v, --version')
    .showHelpAfterError('(sluice --help lists the commands)')
    .addHelpText('after', EXAMPLES)
  for (const command of [
    runCommand,
    reloadCommand,
    checkCommand,
    testCommand,
    listCommand,
    schemaCommand,
    deadCommand,
    dataCommand,
    connectCommand,
    sniffCommand,
    newCommand,
    completionCommand,
    helpCommand,
  ]) {
    program.addCommand(command())
  }
  program.addCommand(completeCommand(), { hidden: true })
  return program
}

const EXAMPLES = `
Examples:
  sluice run sluice.yaml      start the server that the file describes
  sluice check sluice.yaml    find mistakes, and say in words what each endpoint promises
  sluice test sluice.yaml     run the cases of sluice.test.yaml against its dataflows
  sluice list framing         what there is of a kind
  sluice new                  write a starter project
  sluice sniff 9100           show what a device sends, and propose a configuration for it
  sluice connect HOST:PORT    talk to a server or a device

Exit codes: 0 all good, 1 something failed or is wrong in the configuration, 2 wrong usage.
`

/** A reader that has seen enough, as in `sluice list | head -1`, is no failure. */
function onOutputError({ code }: NodeJS.ErrnoException): void {
  if (code !== 'EPIPE') process.exitCode = EXIT.failed
}

/** Wrong usage then ends with {@link EXIT}.usage, whatever the depth of the command. */
function throwInsteadOfExit(command: Command): void {
  command.exitOverride()
  for (const subcommand of command.commands) throwInsteadOfExit(subcommand)
}

function readVersion(): string {
  const file = new URL('../../package.json', import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}
