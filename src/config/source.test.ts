import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadConfig } from './source.ts'
import { readYaml } from './yaml-source.ts'

let folder: string
const file = (name: string) => join(folder, name)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-source-'))
})
afterAll(() => rm(folder, { recursive: true }))

test('reads YAML and knows its folder', async () => {
  await writeFile(file('a.yaml'), '\uFEFFlisten:\r\n  x: { port: 1 }\r\n')
  const loaded = await loadConfig(file('a.yaml'))
  expect(loaded).toMatchObject({ value: { listen: { x: { port: 1 } } }, baseDir: folder, problems: [] })
  expect(loaded.locate(['listen', 'x', 'port'])).toMatchObject({ line: 2, column: 14, text: '  x: { port: 1 }' })
})

test('reads the default export of a TypeScript file, functions and all', async () => {
  await writeFile(file('a.config.ts'), 'export default { listen: { x: { dataflow: [(m: number) => m + 1] } } }')
  const loaded = await loadConfig(file('a.config.ts'))
  expect(loaded.problems).toEqual([])
  expect(loaded.value).toMatchObject({ listen: { x: { dataflow: [expect.any(Function)] } } })
  expect(loaded.locate(['listen'])).toBeUndefined()
})

test.each([
  ['missing.yaml', undefined, 'FILE_MISSING', /there is no file .*missing\.yaml/],
  ['missing.config.ts', undefined, 'FILE_MISSING', /there is no file/],
  ['latin1.yaml', Buffer.from('a: "\xfc"', 'latin1'), 'FILE_NOT_UTF8', /not UTF-8/],
  ['throws.config.ts', 'throw new Error("sorry")', 'MODULE_FAILED', /could not be loaded: Error: sorry/],
  ['nothing.config.ts', 'export const x = 1', 'MODULE_FAILED', /no default export/],
])('%s', async (name, content, code, message) => {
  if (content !== undefined) await writeFile(file(name), content)
  const { value, problems } = await loadConfig(file(name))
  expect(value).toBeUndefined()
  expect(problems).toMatchObject([{ code, message: expect.stringMatching(message) }])
})

test('a folder without a configuration says so', async () => {
  const empty = await mkdtemp(join(folder, 'empty-'))
  const { problems } = await loadConfig(empty)
  expect(problems).toMatchObject([{ code: 'FILE_MISSING', hint: expect.stringContaining('sluice.yaml') }])
})

test('finds values, keys, list elements, and characters of a text however it is quoted', () => {
  const text = [
    'steps:',
    '  - filter: msg.x',
    "  - reply: 'it''s ${bad}'",
    '  - reply: "\\t\\x41${bad}"',
    '  - &shared { log: hello }',
    'again: *shared',
    'list: [ { a: 1 } ]',
  ].join('\n')
  const { locate, locateKey, locateText } = readYaml(text, 'f', '/')
  expect(locate(['steps', 0, 'filter'])).toMatchObject({ line: 2, column: 13 })
  expect(locateKey(['steps', 0, 'filter'])).toMatchObject({ line: 2, column: 5 })
  expect(locate(['steps', 1])).toMatchObject({ line: 3, column: 5 })
  expect(locateText(['steps', 0, 'filter'], 4)).toMatchObject({ line: 2, column: 17 })
  // Of a short form: the option stands in no file.
  expect(locateText(['steps', 1, 'reply', 'text'], 'it’s '.length)).toMatchObject({ line: 3, column: 19 })
  expect(locateText(['steps', 2, 'reply', 'text'], 2)).toMatchObject({ line: 4, column: 19 })
  expect(locate(['list', 'short', 0, 'a'])).toMatchObject({ line: 7, column: 14 })
  expect(locate(['list', 'short'])).toMatchObject({ line: 7, column: 7 })
  expect(locateKey(['list', 'short'])).toMatchObject({ line: 7, column: 1 })
  expect(locate(['list', 'short', 1])).toMatchObject({ line: 7, column: 1 })
  expect(locate(['again', 'log'])).toMatchObject({ line: 5, column: 20 })
  // What does not exist is where its parent is.
  expect(locate(['steps', 0, 'onError'])).toMatchObject({ line: 2, column: 5 })
  expect(locate(['nowhere', 'else'])).toMatchObject({ line: 1, column: 1 })
})
