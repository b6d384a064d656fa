import { relative } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { parsePort } from './address.ts'
import { EXIT } from './exit.ts'
import { readTemplates, type Template, writeTemplate } from './templates.ts'
import { paint, print, printError } from './terminal.ts'

interface NewFlags {
  readonly port?: number
  readonly force?: boolean
}

/** What is to be written where. */
interface Choice {
  readonly template: Template
  readonly folder: string
  readonly port: number
}

export function newCommand(): Command {
  return new Command('new')
    .description('write a starter project: a configuration with comments, its tests, and a README')
    .argument('[template]', 'what it is for; asked for when it is left out', parseTemplate)
    .argument('[folder]', 'where to; . for here (default: a folder with the name of the template)')
    .option('--port <port>', 'port instead of the one of the template', parsePort)
    .option('--force', 'write over files that exist')
    .addHelpText('after', () => `\nTemplates:\n${listTemplates(readTemplates()).join('\n')}\n`)
    .action(async (template: Template | undefined, folder: string | undefined, flags: NewFlags, command: Command) => {
      const isAsked = template === undefined
      if (isAsked && !(process.stdin.isTTY && process.stdout.isTTY)) {
        return command.error(`error: name a template:\n${listTemplates(readTemplates()).join('\n')}`)
      }
      const choice = isAsked ? await askForChoice(flags) : choiceOf(template, folder, flags)
      if (choice !== undefined) write(choice, flags.force ?? false)
    })
}

function choiceOf(template: Template, folder: string | undefined, { port }: NewFlags): Choice {
  return { template, folder: folder ?? template.name, port: port ?? template.port }
}

/** @returns undefined when the user has thought better of it */
async function askForChoice({ port }: NewFlags): Promise<Choice | undefined> {
  const { cancel, isCancel, select, text } = await import('@clack/prompts')
  const template = await select({
    message: 'What is it for?',
    options: readTemplates().map((value) => ({ value, label: value.name, hint: value.summary })),
  })
  const folder = isCancel(template)
    ? template
    : await text({ message: 'Into which folder?', initialValue: template.name, validate: needsText })
  const asked = isCancel(folder) || isCancel(template) || port !== undefined ? port : await askForPort(template.port)
  if (isCancel(template) || isCancel(folder) || isCancel(asked)) {
    cancel('Nothing was written.')
    return undefined
  }
  return { template, folder, port: Number(asked) }

  function askForPort(usual: number) {
    return text({ message: 'On which port?', initialValue: String(usual), validate: needsPort })
  }
}

function write({ template, folder, port }: Choice, force: boolean): void {
  try {
    for (const path of writeTemplate(template, folder, port, force)) print(`${paint('green', 'written')} ${path}`)
  } catch (error) {
    printError((error as Error).message)
    process.exitCode = EXIT.failed
    return
  }
  const place = relative('.', folder)
  print('')
  print(`Next:${place === '' ? '' : `  cd ${place} &&`}  sluice test  &&  sluice run --hints`)
}

function parseTemplate(name: string): Template {
  const templates = readTemplates()
  const found = templates.find((one) => one.name === name)
  if (found === undefined) {
    throw new InvalidArgumentError(`There is none of this name. Templates:\n${listTemplates(templates).join('\n')}`)
  }
  return found
}

function listTemplates(templates: readonly Template[]): string[] {
  const width = Math.max(...templates.map(({ name }) => name.length))
  return templates.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`)
}

function needsText(text: string | undefined): string | undefined {
  return text?.trim() ? undefined : 'a folder is needed; . for here'
}

function needsPort(text: string | undefined): string | undefined {
  try {
    parsePort(text ?? '')
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}
