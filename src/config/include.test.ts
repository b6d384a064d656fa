import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support/server.ts'
import { readPlan } from './read-plan.ts'

/** Writes files into a folder of its own. */
async function files(contents: Readonly<Record<string, string>>) {
  const folder = temporaryFolder()
  for (const [name, content] of Object.entries(contents)) {
    await mkdir(dirname(join(folder.path, name)), { recursive: true })
    await writeFile(join(folder.path, name), content)
  }
  return folder
}

async function read(folder: { readonly path: string }, name = 'sluice.yaml') {
  const { plan, problems, watched } = await readPlan(join(folder.path, name), {})
  const place = (text: string) => text.replaceAll(`${folder.path}/`, '').replaceAll(folder.path, 'DIR')
  return {
    plan,
    names: plan?.endpoints.map((endpoint) => endpoint.name),
    watched: watched.map(place),
    said: problems.map(({ code, position, message }) =>
      place(
        `${position === undefined ? '' : `${position.file}:${position.line}:${position.column} `}${code} ${message}`,
      ),
    ),
  }
}

const endpoint = (name: string, port: number) => `listen:\n  ${name}: { port: ${port}, dataflow: [ stdout ] }\n`

describe('include', () => {
  test('takes other files in, by pattern and by name, each once', async () => {
    using folder = await files({
      'sluice.yaml': `include: [ "conf.d/*.yaml", more.yaml, "conf.d/b.yaml" ]\n${endpoint('main', 1)}`,
      'conf.d/b.yaml': `${endpoint('b', 3)}dataflows: { shared: [ stdout ] }\n`,
      'conf.d/a.yaml': 'listen: { a: { port: 2, dataflow: shared } }',
      'conf.d/empty.yaml': '',
      'more.yaml': 'connect: { more: { hosts: scales.csv, dataflow: [ stdout ] } }\nlog: { level: warn }',
      'scales.csv': 'id,host,port\ns,h,1\n',
    })
    const { names, said, watched, plan } = await read(folder)
    expect(said).toEqual([])
    expect(names).toEqual(['main', 'a', 'b', 'more'])
    expect(plan!.log.level).toBe('warn')
    expect(plan!.baseDir).toBe(folder.path)
    expect(watched.toSorted()).toEqual(
      [
        'conf.d',
        'conf.d/a.yaml',
        'conf.d/b.yaml',
        'conf.d/empty.yaml',
        'more.yaml',
        'scales.csv',
        'sluice.yaml',
      ].toSorted(),
    )
  })

  test('may be one name, and a pattern may find nothing', async () => {
    using folder = await files({ 'sluice.yaml': `include: "conf.d/*.yaml"\n${endpoint('main', 1)}` })
    expect(await read(folder)).toMatchObject({ said: [], names: ['main'] })
  })

  test('defaults are for the entries of all files, and mistakes have the place in theirs', async () => {
    using folder = await files({
      'sluice.yaml': 'include: [ a.yaml, b.yaml ]\ndefaults:\n  listen: { format: jsn }\n',
      'a.yaml': endpoint('a', 1),
      'b.yaml': `${endpoint('b', 1)}\n  c: { prt: 5, dataflow: [ { filter: "msg.(" } ] }\n`,
    })
    const { said } = await read(folder)
    expect(said).toContain('sluice.yaml:3:21 FORMAT_UNKNOWN there is no format jsn')
    expect(said).toContain('b.yaml:2:14 ADDRESS_TAKEN port 1 is taken by listen.a')
    expect(said).toContain('b.yaml:4:8 KEY_UNKNOWN listen.c has no option prt')
    expect(said.some((text) => /^b\.yaml:4:\d+ EXPRESSION_INVALID/.test(text))).toBe(true)
  })

  test('a name or a setting that stands twice is told of with both places', async () => {
    using folder = await files({
      'sluice.yaml': `include: a.yaml\n${endpoint('x', 1)}log: { level: warn }\nversion: 1\n`,
      'a.yaml': `version: 1\nlog: { level: info }\n${endpoint('x', 2)}`,
    })
    expect((await read(folder)).said).toEqual([
      'a.yaml:2:1 KEY_TAKEN log stands in sluice.yaml:4 already',
      'a.yaml:4:3 NAME_TAKEN listen.x stands in sluice.yaml:3 already',
    ])
  })

  test.each<[string, Record<string, string>, string]>([
    [
      'a file that is not there',
      { 'sluice.yaml': 'include:\n  - no.yaml' },
      'sluice.yaml:2:5 INCLUDE_INVALID there is no file no.yaml',
    ],
    [
      'a value that is no list',
      { 'sluice.yaml': 'include: { a: b }' },
      'sluice.yaml:1:10 INCLUDE_INVALID include is no list of files',
    ],
    [
      'an include in a file that is included',
      { 'sluice.yaml': 'include: a.yaml', 'a.yaml': 'include: b.yaml' },
      'a.yaml:1:1 INCLUDE_INVALID include has no meaning in a file that is itself included, or in one of a folder',
    ],
    [
      'a file that is no mapping',
      { 'sluice.yaml': 'include: a.yaml', 'a.yaml': '- 1' },
      'a.yaml:1:1 FILE_EMPTY a.yaml is no mapping',
    ],
    [
      'a file with broken YAML',
      { 'sluice.yaml': 'include: a.yaml', 'a.yaml': 'listen: {\n' },
      'a.yaml:1:9 YAML_INDENT ',
    ],
    ['a folder', { 'sluice.yaml': 'include: conf.d', 'conf.d/a.yaml': '' }, 'FILE_IS_FOLDER conf.d is a folder'],
  ])('%s is refused', async (_, contents, problem) => {
    using folder = await files(contents)
    const { said, plan } = await read(folder)
    expect(plan).toBeUndefined()
    expect(
      said.some((text) => text.startsWith(problem)),
      said.join('\n'),
    ).toBe(true)
  })
})

describe('a folder', () => {
  test('has its tables beside its files, and their mistakes are told of with the path that leads there', async () => {
    using folder = await files({
      'a.yaml': 'connect: { a: { hosts: s.csv, dataflow: [ stdout ] } }',
      's.csv': 'id,host\na,h\n',
    })
    for (const name of ['', 'a.yaml']) {
      const { problems } = await readPlan(join(folder.path, name), {})
      expect(problems[0]!.position).toMatchObject({ file: join(folder.path, 's.csv'), line: 2, column: 3 })
    }
  })

  test('is all of its configurations, in the order of their names', async () => {
    using folder = await files({
      'b.yaml': `${endpoint('b', 2)}data: { dir: kept }\n`,
      'a.yml': endpoint('a', 1),
      'a.test.yaml': 'tests: []',
      '.hidden.yaml': ': :',
      'notes.txt': 'x',
    })
    const { names, said, watched, plan } = await read(folder, '')
    expect(said).toEqual([])
    expect(names).toEqual(['a', 'b'])
    expect(plan!.baseDir).toBe(folder.path)
    expect(watched).toEqual(['DIR', 'a.yml', 'b.yaml'])
    expect((await readPlan(folder.path, {})).dataDir).toBe(join(folder.path, 'kept'))
  })

  test('without any is told of', async () => {
    using folder = await files({ 'a.test.yaml': 'tests: []' })
    const { plan, problems } = await readPlan(folder.path, {})
    expect(plan).toBeUndefined()
    expect(problems).toMatchObject([
      { code: 'FILE_MISSING', message: `${folder.path} has no file that ends in .yaml or .yml` },
    ])
  })
})
