import { Command } from 'commander'
import { suggest } from '../util/suggest.ts'

/**
 * Stands in for the `help` of the library, which says nothing of a command that there is not. Each command that has others
 * below it has one.
 */
export function helpCommand(): Command {
  return new Command('help')
    .description('say what a command is for and what it takes')
    .argument('[command...]', 'the command')
    .action((names: readonly string[], _: unknown, { parent }: Command) => {
      let command = parent!
      for (const name of names) {
        const next = command.commands.find((one) => one.name() === name)
        if (next === undefined) return unknownCommand(name, command, parent!)
        command = next
      }
      command.help()
    })
}

function unknownCommand(name: string, within: Command, asked: Command): never {
  const known = within.createHelp().visibleCommands(within)
  const near = suggest(
    name,
    known.map((command) => command.name()),
  )
  asked.error(`error: unknown command '${name}'${near === undefined ? '' : `\n(Did you mean ${near}?)`}`)
}
