import { existsSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Complete, RootCommand } from '@bomb.sh/tab'
import type { Argument, Command, Option } from 'commander'
import { createRegistry } from '../registry/builtins.ts'
import { readTemplates } from './templates.ts'

/** A value that may be typed, and what it is. */
type Proposal = readonly [value: string, about: string]

/** Prints what may stand in the place of the last word, in the form that the scripts of `@bomb.sh/tab` read. */
export async function completeWords(program: Command, words: readonly string[]): Promise<void> {
  const last = words.at(-1) ?? ''
  const letters = words[0] === 'dead' ? await readLetters() : []
  const root = new RootCommand()
  const proposalsOf = (part: Option | Argument): readonly Proposal[] => {
    if (part.argChoices !== undefined) return part.argChoices.map((choice) => [choice, ''])
    const name = part.name()
    return name === 'id' || name === 'ids' ? letters : (SOURCES[name]?.(last) ?? [])
  }
  const give = (part: Option | Argument) => (complete: Complete) => {
    for (const [value, about] of proposalsOf(part)) complete(value, about)
  }
  const add = (command: Command, path: string) => {
    const node = path === '' ? root : root.command(path, command.description())
    const help = command.createHelp()
    for (const option of help.visibleOptions(command)) {
      const name = option.long?.slice(2) ?? option.name()
      if (option.required || option.optional) node.option(name, option.description, give(option))
      else node.option(name, option.description)
    }
    for (const argument of command.registeredArguments)
      node.argument(argument.name(), give(argument), argument.variadic)
    for (const one of help.visibleCommands(command)) add(one, `${path} ${one.name()}`.trim())
  }
  add(program, '')
  // bash makes a word of its own of the sign in --framing=mllp.
  root.parse(words.filter((word) => word !== '='))
}

/** Values of options and arguments, by their name. They are given the word that is being typed. */
const SOURCES: Readonly<Record<string, (word: string) => readonly Proposal[]>> = {
  framing: () => partsOf('framing'),
  format: () => partsOf('format'),
  template: () => readTemplates().map(({ name, summary }) => [name, summary]),
  file: (word) => filesFor(word, CONFIGURATION),
  config: (word) => filesFor(word, CONFIGURATION),
  ca: (word) => filesFor(word, ANY),
  cert: (word) => filesFor(word, ANY),
  key: (word) => filesFor(word, ANY),
  data: (word) => filesFor(word, NOTHING),
  folder: (word) => filesFor(word, NOTHING),
}

const CONFIGURATION = /\.(?:ya?ml|[cm]?[jt]s)$/
const ANY = /./
/** Folders are proposed all the same. */
const NOTHING = /^$/

function partsOf(kind: 'framing' | 'format'): readonly Proposal[] {
  return createRegistry()
    .list(kind)
    .map(({ name, summary }) => [name, summary])
}

function filesFor(word: string, pattern: RegExp): readonly Proposal[] {
  const folder = word.slice(0, word.lastIndexOf('/') + 1)
  if (!existsSync(folder || '.')) return []
  return readdirSync(folder || '.', { withFileTypes: true })
    .filter((entry) => !entry.name.startsWith('.') && (entry.isDirectory() || pattern.test(entry.name)))
    .map((entry) => [`${folder}${entry.name}${entry.isDirectory() ? '/' : ''}`, ''])
}

/** The newest dead letters of the usual data folder; none where there is none. */
async function readLetters(): Promise<readonly Proposal[]> {
  const { DEAD_LETTERS_FILE } = await import('../delivery/dead-letters.ts')
  const file = join(resolve('sluice-data'), DEAD_LETTERS_FILE)
  if (!existsSync(file)) return []
  const { readDeadLetters } = await import('../delivery/dead-letter-files.ts')
  try {
    return Array.from(readDeadLetters(file, {}, 20), ({ id, endpoint, code }) => [String(id), `${endpoint}: ${code}`])
  } catch {
    return []
  }
}
