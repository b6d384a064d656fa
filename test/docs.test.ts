import { spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { generate } from 'selfsigned'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { createProgram } from '../src/cli/main.ts'
import { readPlan } from '../src/config/read-plan.ts'
import { readCases } from '../src/testing/read-cases.ts'

const root = join(import.meta.dirname, '..')
const pages = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', ...globSync('docs/guide/*.md', { cwd: root }).sort()]
const texts = new Map(pages.map((page) => [page, read(page)]))
const blocks = pages.flatMap(blocksOf)

/** A fenced block of a page. */
interface Block {
  readonly page: string
  readonly language: string
  readonly text: string
  /** Page and line, for the name of a test. */
  readonly place: string
}

describe('every configuration of the docs is true', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-guide-'))
  const configurations = blocks.filter(({ language }) => language === 'yaml')

  beforeAll(async () => {
    mkdirSync(join(folder, 'certs'))
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }])
    for (const [name, pem] of [
      ['server.pem', cert],
      ['server.key', key],
      ['our-authority.pem', cert],
    ] as const) {
      writeFileSync(join(folder, 'certs', name), pem)
    }
    const [table] = blocks.filter(({ language }) => language === 'csv')
    writeFileSync(join(folder, 'scales.csv'), table!.text)
    writeFileSync(join(folder, 'convert.ts'), 'export default (msg: unknown) => msg')
    writeFileSync(join(folder, 'articles.csv'), 'ean,name,price\n')
    writeFileSync(join(folder, 'plant.db'), '')
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  async function reportOf(text: string): Promise<string> {
    const file = join(folder, 'sluice.yaml')
    writeFileSync(file, text)
    return (await readPlan(file, {})).report
  }

  it.each(configurations)('$place', async ({ text }) => {
    if (text.startsWith('# wrong\n')) return expect(await reportOf(text)).not.toBe('')
    if (text.startsWith('# steps\n')) return expect(await reportOf(endpointOf(text))).toBe('')
    if (/^tests:$/m.test(text)) {
      const file = join(folder, 'sluice.test.yaml')
      writeFileSync(file, text)
      return expect((await readCases(file)).report).toBe('')
    }
    expect(text, 'begin steps with # steps, and what is meant to be wrong with # wrong').toMatch(
      /^(listen|connect|subscribe|schedule):$/m,
    )
    expect(await reportOf(text)).toBe('')
  })
})

it('every program of the docs has the right types', () => {
  const folder = mkdtempSync(join(root, 'test', 'docs-types-'))
  try {
    const programs = blocks.filter(({ language, text }) => language === 'ts' && text.includes("from 'sluice"))
    expect(programs.length).toBeGreaterThan(5)
    // Whether a name is used is not what a short example shows.
    const compilerOptions = { noUnusedLocals: false, paths: pathsFrom(folder) }
    const config = { extends: '../../tsconfig.json', compilerOptions, include: ['*.ts'] }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
    for (const { text, place } of programs) {
      writeFileSync(join(folder, `${place.replaceAll(/\W/g, '-')}.ts`), `${text}\nexport {}\n`)
    }
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    expect(spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' }).stdout).toBe('')
  } finally {
    rmSync(folder, { recursive: true })
  }
}, 60_000)

it('the step of CONTRIBUTING.md is the one that is proved', () => {
  const [, definition] = /export const upper = ([\s\S]+?\n}\))/.exec(texts.get('CONTRIBUTING.md')!)!
  expect(read('test/new-part.test.ts')).toContain(`const upper = ${definition}\n`)
})

it('every link leads somewhere', () => {
  const links = pages.flatMap((page) =>
    [...withoutBlocks(texts.get(page)!).matchAll(/\]\(([^)\s]+)\)/g)].map(([, to]) => ({ page, to: to! })),
  )
  expect(links.length).toBeGreaterThan(30)
  expect(links.filter(({ page, to }) => !leadsSomewhere(page, to))).toEqual([])
})

it('every command and every option of it exists', () => {
  const shown = blocks.filter(({ language }) => language === 'sh').flatMap(({ text }) => text.split('\n'))
  const named = [...texts.values()].flatMap((text) => [...text.matchAll(/`(sluice [^`]+)`/g)].map(([, all]) => all!))
  const commands = [...shown, ...named].filter((line) => /^sluice [a-z]/.test(line))
  expect(commands.length).toBeGreaterThan(20)
  expect(commands.filter((line) => !isCommand(line))).toEqual([])
})

it('every npm script exists', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const named = [...texts.values()].flatMap((text) =>
    [...text.matchAll(/npm (?:run )?([a-z]+)/g)].map(([, one]) => one!),
  )
  const known = new Set([...Object.keys(scripts), 'ci', 'install', 'and', 'workspace', 'scripts'])
  expect(named.filter((name) => !known.has(name))).toEqual([])
})

describe('ARCHITECTURE.md', () => {
  const text = texts.get('ARCHITECTURE.md')!

  it('is short', () => {
    expect(text.split('\n').length).toBeLessThanOrEqual(200)
    expect(sectionOf(text, 'One message, from socket to row and back').split('\n').length).toBeLessThanOrEqual(30)
  })

  it('names only files and folders that exist', () => {
    const section = sectionOf(text, 'The engine')
    const inEngine = [...section.matchAll(/^\| `([\w-]+\.ts)`/gm)].map(([, name]) => `src/engine/${name}`)
    const elsewhere = [...withoutBlocks(text).matchAll(/`(?!sluice\/)([\w.-]+\/[\w./-]*)`/g)].map(([, path]) => path!)
    expect(inEngine.length).toBeGreaterThan(5)
    const places = (path: string) => [path, join('src', path), join('src/engine', path)]
    const missing = [...inEngine, ...elsewhere].filter(
      (path) => !places(path).some((one) => existsSync(join(root, one))),
    )
    expect(missing).toEqual([])
  })

  it('names every file of the engine and every folder of src', () => {
    const files = globSync('src/engine/*.ts', { cwd: root }).filter((file) => !file.endsWith('.test.ts'))
    expect(files.filter((file) => !text.includes(`\`${file.slice('src/engine/'.length)}\``))).toEqual([])
    const folders = globSync('src/*/', { cwd: root }).map((folder) =>
      folder.replace(/^src[/\\]/, '').replace(/[/\\]$/, ''),
    )
    expect(
      folders.filter((folder) => statSync(join(root, 'src', folder)).isDirectory() && !text.includes(`\`${folder}/\``)),
    ).toEqual([])
  })

  it('names only classes, functions and methods that exist', () => {
    const sources = globSync('src/**/*.ts', { cwd: root }).filter((file) => !file.endsWith('.test.ts'))
    const code = sources.map((file) => readFileSync(join(root, file), 'utf8')).join('\n')
    const names = [...withoutBlocks(text).matchAll(/`((?:[A-Z]\w+)?(?:\.)?#?[A-Za-z]\w+)`/g)].map(([, name]) => name!)
    const parts = names.flatMap((name) => name.split('.')).filter((name) => name !== '')
    expect(parts.filter((name) => !new RegExp(`(?<![\\w#])${name}\\b`).test(code))).toEqual([])
  })

  it('names what a file holds in the file that holds it', () => {
    const walk = withoutBlocks(text).replaceAll(/\s+/g, ' ')
    const before = [...walk.matchAll(/`([A-Z]\w+(?:\.#?\w+)?)` \(`([\w/-]+\.ts)`/g)].map(([, name, file]) => ({
      name,
      file,
    }))
    const behind = [...walk.matchAll(/\(`([\w/-]+\.ts)`, `(\w+)`\)/g)].map(([, file, name]) => ({ name, file }))
    const claims = [...before, ...behind]
    expect(claims.length).toBeGreaterThan(4)
    const isThere = (name: string, file: string) => name.split('.').every((part) => read(`src/${file}`).includes(part))
    expect(claims.filter(({ name, file }) => !isThere(name!, file!))).toEqual([])
  })
})

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}

function blocksOf(page: string): Block[] {
  const text = texts.get(page)!
  return [...text.matchAll(/^( *)```(\w*)\n([\s\S]*?)^ *```$/gm)].map(
    ({ index, 1: indent, 2: language, 3: content }) => ({
      page,
      language: language!,
      text: content!.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
      place: `${page}:${text.slice(0, index).split('\n').length}`,
    }),
  )
}

function withoutBlocks(text: string): string {
  return text.replaceAll(/^( *)```[\s\S]*?^ *```$/gm, '')
}

function sectionOf(text: string, title: string): string {
  const [, rest] = text.split(new RegExp(`^#+ ${title}$`, 'm'))
  return rest!.split(/^#+ /m)[0]!
}

/** An endpoint whose dataflow is these steps, with a script file for those that name one. */
function endpointOf(steps: string): string {
  const dataflow: unknown = parse(steps)
  return JSON.stringify({ listen: { example: { port: 9100, format: 'json', dataflow } } })
}

function pathsFrom(folder: string): Record<string, string[]> {
  const to = (file: string) => [relative(folder, join(root, file))]
  return { sluice: to('src/index.ts'), 'sluice/testing': to('src/testing/index.ts') }
}

function leadsSomewhere(page: string, to: string): boolean {
  if (/^https?:/.test(to)) return true
  const [path = '', anchor] = to.split('#')
  const target = path === '' ? page : join(dirname(page), path)
  if (!existsSync(join(root, target))) return false
  if (anchor === undefined) return true
  const headings = [...withoutBlocks(read(target)).matchAll(/^#+ (.+)$/gm)].map(([, title]) => anchorOf(title!))
  return headings.includes(anchor)
}

/** As GitHub makes it of a heading. */
function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')
}

/** Whether a line such as `sluice dead list --limit 5` names a command, and options that it has. */
function isCommand(line: string): boolean {
  const words = line.split(/[ |]+/).slice(1)
  let command = createProgram()
  for (const word of words) {
    const next = command.commands.find((one) => one.name() === word)
    if (next !== undefined) command = next
  }
  const known = ['--help', ...command.options.map(({ long }) => long as string)]
  return command.parent !== null && words.filter((word) => word.startsWith('--')).every((word) => known.includes(word))
}
