import { mkdtempSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import type { Format } from '../contracts/format.ts'
import type { Step } from '../contracts/step.ts'
import { csv } from '../formats/csv.ts'
import { json } from '../formats/json.ts'
import { createMessages, createTestClock, createTestContext } from '../testing/part-context.ts'
import { runStep } from '../testing/run-step.ts'
import { lookup } from './lookup.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-lookup-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
})

const resolvePath = (path: string) => join(folder, path)
const csvTable = csv.create(csv.options.parse({ header: true })) as Format
const jsonTable = json.create(json.options.parse({})) as Format

function problemWith(file: string, content: string | Buffer, given: object = {}) {
  writeFileSync(resolvePath(file), content)
  const format = file.endsWith('.json') ? jsonTable : csvTable
  return lookup.check!({ file, format, ...given }, { resolvePath })[0]
}

async function find(step: Step, keys: readonly unknown[]) {
  const { gives, failures } = await runStep(step, createMessages(keys))
  return { gives, failures: failures.map(({ error }) => error.message) }
}

/** Writes a file as of a time of the test's clock. */
function write(file: string, content: string, time: number) {
  writeFileSync(resolvePath(file), content)
  utimesSync(resolvePath(file), time / 1000, time / 1000)
}

test('every key of a table is found, as text or number, and no other', async () => {
  await fc.assert(
    fc.asyncProperty(fc.dictionary(fc.string(), fc.jsonValue()), fc.string(), async (table, other) => {
      const step = await lookup.create({ table }, createTestContext())
      expect((await find(step, Object.keys(table))).gives).toEqual(Object.values(table))
      expect((await find(step, [other])).gives).toHaveLength(Object.hasOwn(table, other) ? 1 : 0)
    }),
  )
  const step = await lookup.create({ table: { 7: 'seven', true: 'yes' } }, createTestContext())
  expect((await find(step, [7, true])).gives).toEqual(['seven', 'yes'])
})

test('says what is not there; inherited names are not', async () => {
  const step = await lookup.create({ table: { a: 1 } }, createTestContext())
  expect((await find(step, ['b', 'constructor', null, { a: 1 }])).failures).toEqual([
    'lookup: the table has no "b"',
    'lookup: the table has no "constructor"',
    'lookup: there is no key',
    'lookup: the key is neither a text nor a number',
  ])
  const lenient = await lookup.create({ table: { a: 1 }, default: null }, createTestContext())
  expect((await find(lenient, ['b', null, {}])).gives).toEqual([null, null, null])
})

test('a file that changes is read again once it is left alone; one that is broken or gone is not used', async () => {
  const clock = createTestClock()
  const context = createTestContext({ clock, resolvePath })
  write('t.csv', 'id,name\n7,Pen\n', clock.now())
  const step = await lookup.create({ file: 't.csv', format: csvTable, value: 'name' }, context)
  const name = async () => (await find(step, ['7'])).gives[0]

  write('t.csv', 'id,name\n7,Pencil\n', clock.now() + 1500)
  expect(await name()).toBe('Pen')
  clock.advance(2000)
  // It has changed half a second ago, and somebody may still write.
  expect(await name()).toBe('Pen')
  clock.advance(1000)
  expect(await name()).toBe('Pencil')
  expect(context.logs.map(({ text }) => text)).toEqual([`${resolvePath('t.csv')} has been read again: 1 keys`])

  for (const [content, problem] of [
    ['id,name\n7\n', 'the row has 1 field, and there are 2 columns'],
    ['id,name\n7,A\n7,B\n', 'row 2 has the key 7 a second time'],
  ]) {
    context.logs.length = 0
    write('t.csv', content!, clock.now())
    for (let look = 0; look < 3; look++) {
      clock.advance(1000)
      expect(await name()).toBe('Pencil')
    }
    expect(context.logs).toMatchObject([{ level: 'warn', text: expect.stringContaining(problem!) }])
  }
  context.logs.length = 0
  renameSync(resolvePath('t.csv'), resolvePath('away.csv'))
  for (let look = 0; look < 3; look++) {
    clock.advance(1000)
    expect(await name()).toBe('Pencil')
  }
  expect(context.logs.map(({ text }) => text)).toEqual([
    `${resolvePath('t.csv')} cannot be read: there is no such file; the table from before stays in use`,
  ])
  write('t.csv', 'id,name\n7,Ink\n', clock.now())
  clock.advance(1000)
  expect(await name()).toBe('Ink')
})

test('a clock of the file server that is ahead of ours delays a change, and does not hide it', async () => {
  const clock = createTestClock()
  write('t.csv', 'id,name\n7,Pen\n', clock.now())
  const step = await lookup.create(
    { file: 't.csv', format: csvTable, value: 'name' },
    createTestContext({ clock, resolvePath }),
  )
  write('t.csv', 'id,name\n7,Pencil\n', clock.now() + 3_600_000)
  for (const expected of ['Pen', 'Pencil']) {
    clock.advance(1000)
    expect((await find(step, ['7'])).gives).toEqual([expected])
  }
})

test('several runs at a time look at the file once, and none waits for another', async () => {
  const clock = createTestClock()
  write('t.csv', 'id,name\n7,Pen\n', clock.now())
  const step = await lookup.create({ file: 't.csv', format: csvTable }, createTestContext({ clock, resolvePath }))
  clock.advance(1000)
  const first = runStep(step, createMessages(['7']))
  expect(first).toBeInstanceOf(Promise)
  expect(runStep(step, createMessages(['7']))).not.toBeInstanceOf(Promise)
  expect((await first).gives).toEqual([{ id: '7', name: 'Pen' }])
})

test('what is no table is a mistake of the configuration, with what to do', () => {
  expect(lookup.check!({ file: 'none.csv', format: csvTable }, { resolvePath })).toEqual([
    { path: ['file'], message: `${resolvePath('none.csv')} cannot be read: there is no such file` },
  ])
  const at = resolvePath('t.csv')
  expect(problemWith('t.csv', 'id;name\n7;Pen\n', { by: 'id' })).toEqual({
    path: ['file'],
    message: `${at} is no table: row 1 has no column id`,
    hint: 'The delimiter seems to be another: format: { csv: { header: true, delimiter: ";" } }',
  })
  expect(problemWith('t.csv', 'id,name\n7,Pen\n', { value: 'nam' })).toMatchObject({ hint: 'It has id, name.' })
  expect(problemWith('t.csv', 'id,name\n7,Pen\n7,Ink\n')?.message).toMatch('row 2 has the key 7 a second time')
  expect(problemWith('t.csv', 'id,name\n7\n')?.message).toMatch('the row has 1 field, and there are 2 columns')
  expect(problemWith('t.json', '7')?.message).toMatch('it is neither rows nor an object')
  expect(problemWith('t.json', '[7]')?.message).toMatch('row 1 is no object')
  expect(problemWith('t.json', '[{"id":null}]')?.message).toMatch('row 1 has no key')
  expect(problemWith('t.json', '{"a":1}', { by: 'id' })?.message).toMatch('by names a column, and it has no rows')
  expect(problemWith('t.json', '{"a":1}', { value: 'id' })?.message).toMatch('the entry a has no columns')
  expect(problemWith('t.csv', '\ufeffid,name\n7,Pen\n', { by: 'id' })).toBeUndefined()
})

test('a JSON object of rows gives one column', async () => {
  writeFileSync(resolvePath('t.json'), '{"7":{"name":"Pen"}}')
  const step = await lookup.create(
    { file: 't.json', format: jsonTable, value: 'name' },
    createTestContext({ resolvePath }),
  )
  expect((await find(step, [7])).gives).toEqual(['Pen'])
})

test.each([
  [{}, 'give file or table'],
  [{ file: 'a', table: {} }, 'give file or table'],
  [{ table: {}, by: 'id' }, 'by is for a table in a file'],
])('refuses %j', (options, message) => {
  expect(lookup.options.safeParse(options).error?.issues[0]).toMatchObject({ message })
})

test('a file that would not fit into memory is refused, also when it has become so', async () => {
  const clock = createTestClock()
  const context = createTestContext({ clock, resolvePath })
  expect(problemWith('t.csv', 'id,name\n7,Pen\n', { by: 'id' })).toBeUndefined()
  const step = await lookup.create({ file: 't.csv', format: csvTable, value: 'name' }, context)
  truncateSync(resolvePath('t.csv'), 64 * 1024 * 1024 + 1)
  const problem = `${resolvePath('t.csv')} cannot be read: it has more than 64MiB`
  clock.advance(1000)
  expect((await find(step, ['7'])).gives).toEqual(['Pen'])
  expect(context.logs).toMatchObject([{ level: 'warn', text: `${problem}; the table from before stays in use` }])
  expect(lookup.check!({ file: 't.csv', format: csvTable, by: 'id' }, { resolvePath })[0]).toMatchObject({
    message: problem,
  })
})
