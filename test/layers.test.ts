import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { checkLayers } from '../scripts/layers.ts'
import { readSource } from '../scripts/source-text.ts'

/** A tree that keeps every rule. */
const sound = {
  'util/text.ts': `export const dot = '.'\n`,
  'codegen/code.ts': `export { compileFunction } from 'node:vm'\n`,
  'contracts/part.ts': `import { dot } from '../util/text.ts'\nexport const part = dot\n`,
  'framings/line.ts': `import { part } from '../contracts/part.ts'\nexport const line = part\n`,
  'framings/line.test.ts': `import { json } from '../formats/json.ts'\nconsole.log(json)\n`,
  'formats/json.ts': `export const json: string = 'any'\n`,
  'transports/tcp.ts': `export { part } from '../contracts/part.ts'\n`,
  'engine/server.ts': `import type { part } from '../contracts/part.ts'\nexport type Server = typeof part\n`,
  'registry/builtins.ts': `import { json } from '../formats/json.ts'\nimport { line } from '../framings/line.ts'\nexport const all = [line, json]\n`,
  'config/build.ts': `import { all } from '../registry/builtins.ts'\nimport * as tcp from '../transports/tcp.ts'\nexport const build = [all, tcp]\n`,
  'testing/suite.ts': `import { line } from '../framings/line.ts'\nexport const suite = line\n`,
  'cli/run.ts': `import { build } from '../config/build.ts'\nconsole.log(build, process.argv)\nprocess.exit()\n`,
  'index.ts': `export { build } from './config/build.ts'\nexport { line } from './framings/line.ts'\n`,
}

/** Checks the sound tree with some files added or replaced. */
function check(files: Readonly<Record<string, string>>): string[] {
  const src = join(mkdtempSync(join(tmpdir(), 'sluice-layers-')), 'src')
  onTestFinished(() => rmSync(dirname(src), { recursive: true }))
  for (const [path, text] of Object.entries({ ...sound, ...files })) {
    mkdirSync(dirname(join(src, path)), { recursive: true })
    writeFileSync(join(src, path), text)
  }
  return checkLayers(src)
}

function linesOfCode(count: number): string {
  return 'export type A = 1\n'.repeat(count)
}

describe('the layers of src/', () => {
  it('keep the rules', () => {
    expect(checkLayers(join(import.meta.dirname, '../src'))).toEqual([])
  })
})

describe('the check of the layers', () => {
  it('passes a tree that keeps the rules', () => {
    expect(check({})).toEqual([])
  })

  it.each<[string, string, string, string]>([
    ['a higher rank', 'util/bad.ts', `import { part } from '../contracts/part.ts'`, 'contracts/ has rank 1'],
    ['an equal rank', 'framings/bad.ts', `import { json } from '../formats/json.ts'`, 'formats/ has rank 2'],
    [
      'a type of a higher rank',
      'engine/bad.ts',
      `import type { build } from '../config/build.ts'`,
      'config/ has rank 4',
    ],
    ['a higher rank by a re-export', 'util/bad.ts', `export * from '../contracts/part.ts'`, 'contracts/ has rank 1'],
    ['a higher rank at run time', 'engine/bad.ts', `export const a = import('../cli/run.ts')`, 'cli/ has rank 7'],
    ['a higher rank in a type', 'engine/bad.ts', `export type A = import('../cli/run.ts').A`, 'cli/ has rank 7'],
    [
      'a higher rank as a worker',
      'engine/bad.ts',
      `export const a = new URL('../cli/run.ts', import.meta.url)`,
      'cli/ has rank 7',
    ],
    ['over several lines', 'util/bad.ts', `import {\n  part,\n} from '../contracts/part.ts'`, 'contracts/ has rank 1'],
    ['a part by name', 'engine/bad.ts', `import { line } from '../framings/line.ts'`, 'only registry/builtins.ts'],
    ['a part from another file of the registry', 'registry/bad.ts', `import '../sinks/x.ts'`, 'side effects'],
    [
      'a transport by name',
      'engine/bad.ts',
      `import { part } from '../transports/tcp.ts'`,
      'only config, library, cluster, index.ts',
    ],
    ['the public file', 'cli/bad.ts', `import { line } from '../index.ts'`, 'for users of the library'],
    ['ranks above 4 from the public file', 'index.ts', `export { suite } from './testing/suite.ts'`, 'has rank 5'],
    ['a test', 'framings/bad.ts', `import { x } from './line.test.ts'`, 'a test is imported by nobody'],
    ['a folder without rank', 'cli/bad.ts', `import { x } from '../helpers/x.ts'`, 'helpers/ has no rank'],
    ['a file outside', 'cli/bad.ts', `import { x } from '../../scripts/x.ts'`, 'outside src/'],
    ['the schema library', 'steps/bad.ts', `import { z } from 'zod'`, 'only contracts/schema.ts'],
    [
      'what makes code of text',
      'steps/bad.ts',
      `import { Script } from 'node:vm'`,
      'only codegen, formats/kaitai-type',
    ],
    ['it in a format', 'formats/bad.ts', `import { Script } from 'node:vm'`, 'only codegen, formats/kaitai-type'],
    ['files in the engine', 'engine/bad.ts', `import { readFile } from 'node:fs/promises'`, 'does without it'],
  ])('fails on an import of %s', (_, path, line, problem) => {
    const violations = check({ [path]: `${line}\n` })
    expect(violations).toHaveLength(1)
    expect(violations[0]).toMatch(new RegExp(`^src/${path}:\\d+: imports `))
    expect(violations[0]).toContain(problem)
  })

  it('fails on a folder that has no rank', () => {
    expect(check({ 'helpers/x.ts': 'export const x = 1\n' })).toEqual([
      'src/helpers/x.ts:1: the folder helpers/ has no rank',
    ])
  })

  it('fails on a cycle between files, once', () => {
    const files = {
      'engine/a.ts': `import { b } from './b.ts'\nexport const a = () => b\n`,
      'engine/b.ts': `import type { c } from './c.ts'\nexport const b = (): typeof c | undefined => undefined\n`,
      'engine/c.ts': `import { a } from './a.ts'\nexport const c = () => a\n`,
    }
    expect(check(files)).toEqual([
      'src/engine/a.ts:1: a cycle of imports: src/engine/a.ts → src/engine/b.ts → src/engine/c.ts → src/engine/a.ts',
    ])
  })

  it.each<[string, string, string]>([
    ['any', 'config/bad.ts', 'export const a = (x: any) => x'],
    ['any as an argument', 'config/bad.ts', 'export type A = Record<string, any>'],
    ['any in a cast', 'config/bad.ts', 'export const a = 1 as any'],
    ['console', 'engine/bad.ts', `console.log('x')`],
    ['process.argv', 'config/bad.ts', 'export const a = () => process.argv'],
    ['process.exit', 'config/bad.ts', 'export const a = () => process.exit(1)'],
    ['process.env', 'sinks/bad.ts', 'export const a = () => process.env.HOME'],
    ['new Function', 'expression/bad.ts', `export const a = new Function('return 1')`],
    ['new Function where code is made', 'codegen/bad.ts', `export const a = new Function('return 1')`],
    ['eval', 'expression/bad.ts', `export const a = eval('1')`],
    ['mutable state', 'engine/bad.ts', 'let count = 0\nexport const a = () => count++'],
    ['the clock', 'steps/bad.ts', 'export const a = () => Date.now()'],
    ['a check that is switched off', 'engine/bad.ts', '// @ts-ignore\nexport const a = 1'],
  ])('fails on %s', (_, path, text) => {
    const violations = check({ [path]: `${text}\n` })
    expect(violations).toHaveLength(1)
    expect(violations[0]).toMatch(new RegExp(`^src/${path}:\\d+: `))
  })

  it('does not take words in comments, strings, templates and patterns for code', () => {
    const text = [
      '// console.log(x), new Function(), import { a } from "../cli/run.ts"',
      `/* let x: any = eval('1') */`,
      `export const a = "import { x } from '../cli/run.ts'; console.log(1)"`,
      'export const b = `${a} as any ${{ c: `console.log(${a})` }} : any`',
      'export const c = /console.log["\'`]: any/.test(a) ? 4 / 2 / 1 : `//`',
      'export const options = { any: 1 }',
      'export const d = options.any',
    ]
    expect(check({ 'engine/fine.ts': `${text.join('\n')}\n` })).toEqual([])
  })

  it('still sees code behind strings, templates and patterns', () => {
    const text = 'export const a = `x ${`y ${1} "`} \'` + /["\'/]/.source; console.log(a)\n'
    expect(check({ 'engine/bad.ts': text })).toEqual(['src/engine/bad.ts:1: console has no place here'])
  })

  it('fails on a file that is too long, tests included', () => {
    expect(check({ 'config/long.test.ts': '\n'.repeat(500) })).toEqual([])
    expect(check({ 'config/long.test.ts': '\n'.repeat(501) })).toHaveLength(1)
  })

  it('fails on an engine with too many files', () => {
    const files = Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`engine/e${i}.ts`, 'export const a = 1\n']))
    expect(check(files)).toEqual(['src/engine/: 12 files; at most 11'])
  })

  it('fails on an engine with too much code, and does not count comments and blank lines', () => {
    const files = { 'engine/a.ts': linesOfCode(500), 'engine/b.ts': linesOfCode(500), 'engine/c.ts': linesOfCode(498) }
    expect(check(files)).toEqual([])
    const commented = { ...files, 'engine/d.ts': '// a comment\n\n/**\n * two\n */\n' }
    expect(check(commented)).toEqual([])
    expect(check({ ...files, 'engine/d.ts': linesOfCode(1) })).toEqual([
      'src/engine/: 1501 lines of code; at most 1500',
    ])
  })

  it('fails on a path of a byte that is too long', () => {
    const files = { 'wire/framer.ts': linesOfCode(300), 'engine/connection.ts': linesOfCode(400) }
    expect(check(files)).toEqual([])
    expect(check({ ...files, 'engine/dataflow.ts': linesOfCode(1) })[0]).toContain('701 lines of code; at most 700')
  })
})

describe('readSource', () => {
  it('blanks comments and contents and keeps every line in its place', () => {
    const source = readSource(`const a = 'b' // c\n/* d\n */ const e = /f/g\n`)
    expect(source.code).toBe(`const a = 'b'     \n    \n    const e = /f/g\n`)
    expect(source.bare).toBe(`const a = ' '     \n    \n    const e = / /g\n`)
    expect(source.codeLines).toBe(2)
    expect(source.lines).toBe(3)
  })
})
