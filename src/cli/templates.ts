import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeFolder } from '../util/folder.ts'

/** A starter project: a folder of `templates/`, whose name it has. */
export interface Template {
  readonly name: string
  /** One clause: the heading of its README. */
  readonly summary: string
  /** The port that its files speak of. */
  readonly port: number
  readonly files: readonly TemplateFile[]
}

export interface TemplateFile {
  readonly name: string
  readonly text: string
}

/** Every starter project; `blank` comes last. */
export function readTemplates(): Template[] {
  const names = readdirSync(ROOT).sort()
  return [...names.filter((name) => name !== BLANK), BLANK].map(readTemplate)
}

/**
 * Writes a project. Nothing is written when one of its files is there already, unless `force`.
 * @param port takes the place of the template's own in all files
 * @returns the paths of the files
 * @throws Error in one sentence, naming the file that is there
 */
export function writeTemplate(
  { files, ...template }: Template,
  folder: string,
  port: number,
  force: boolean,
): string[] {
  const paths = files.map(({ name }) => join(folder, name))
  const there = paths.filter((path) => existsSync(path))
  if (there.length > 0 && !force) {
    throw new Error(`${there.join(' and ')} ${there.length === 1 ? 'exists' : 'exist'} already; --force writes over it`)
  }
  makeFolder(folder)
  files.forEach(({ text }, i) => {
    writeFileSync(paths[i]!, text.replaceAll(new RegExp(`\\b${template.port}\\b`, 'g'), String(port)))
  })
  return paths
}

function readTemplate(name: string): Template {
  const folder = join(ROOT, name)
  const files = readdirSync(folder)
    .sort()
    .map((file) => ({ name: file, text: readFileSync(join(folder, file), 'utf8') }))
  const textOf = (file: string) => files.find((one) => one.name === file)?.text ?? ''
  return {
    name,
    summary: /^# (.+)$/m.exec(textOf('README.md'))![1]!,
    port: Number(/^ +port: (\d+)/m.exec(textOf('sluice.yaml'))![1]),
    files,
  }
}

const BLANK = 'blank'
const ROOT = fileURLToPath(new URL('../../templates', import.meta.url))
