import type { Argument, Command, Option } from 'commander'
import { code, createPage, type Page, table } from '../src/registry/markdown.ts'

/** The page of the command line, from the definitions of its commands. */
export function cliPage(program: Command): Page {
  return createPage('cli.md', 'Command line', [
    program.description(),
    afterHelp(program),
    ...visibleCommands(program).flatMap((command) => commandBlocks(command, program.name())),
  ])
}

/** Without `help`, which every command has, and what only other programs call. */
function visibleCommands(program: Command): Command[] {
  return program
    .createHelp()
    .visibleCommands(program)
    .filter((command) => command.name() !== 'help')
}

/** A command and those below it, each under its full name. */
function commandBlocks(command: Command, parent: string): string[] {
  const name = `${parent} ${command.name()}`
  const rows = [...command.registeredArguments.map(argumentRow), ...command.options.map(optionRow)]
  return [
    `## ${name}`,
    `${sentence(command.description())}`,
    command.commands.length === 0 ? `\`\`\`\n${name} ${command.usage()}\n\`\`\`` : '',
    table(['argument or option', 'default', 'meaning'], rows),
    afterHelp(command),
    ...visibleCommands(command).flatMap((one) => commandBlocks(one, name)),
  ]
}

function argumentRow(argument: Argument): string[] {
  const { argChoices = [] } = argument
  const choices = argChoices.length === 0 ? '' : `: ${argChoices.map(code).join(', ')}`
  return [code(argument.name()), shown(argument.defaultValue), sentence(argument.description + choices)]
}

function optionRow({ flags, defaultValue, description }: Option): string[] {
  return [code(flags), shown(defaultValue), sentence(description)]
}

function shown(value: unknown): string {
  return value === undefined ? '' : code(String(value))
}

/** What stands below the help of a command, as it is printed. */
function afterHelp(command: Command): string {
  let printed = ''
  command.configureOutput({ writeOut: (text) => (printed += text), getOutHasColors: () => false })
  command.outputHelp()
  const text = printed.slice(command.helpInformation().length).trim()
  return text === '' ? '' : `\`\`\`text\n${text}\n\`\`\``
}

function sentence(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}`
}
