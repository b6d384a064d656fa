import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Storage } from '../contracts/storage.ts'
import { createStorage } from '../storage/storage.ts'
import { createExpression } from '../testing/expressions.ts'
import { createMessages, createTestContext } from '../testing/part-context.ts'
import { runStep } from '../testing/run-step.ts'
import { query } from './query.ts'

let folder: string
let storage: Storage
let database: DatabaseSync

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-query-'))
  storage = createStorage()
  database = new DatabaseSync(join(folder, 'parts.db'))
  database.exec("CREATE TABLE parts (id, name); INSERT INTO parts VALUES (7, 'Pen'), (7, 'Ink'), (8, 'Cap')")
})
afterEach(async () => {
  database.close()
  await storage.close()
  rmSync(folder, { recursive: true })
})

const value = createExpression(({ msg }) => msg, 'msg')

async function ask(sql: string, given: readonly unknown[], options: object = {}) {
  const params = sql.includes('?') ? [value] : []
  const context = createTestContext({ storage, resolvePath: (path) => join(folder, path) })
  const step = await query.create({ sqlite: { file: 'parts.db' }, sql, params, rows: 'first', ...options }, context)
  const { gives, failures } = await runStep(step, createMessages(given))
  await step.close?.()
  return { gives, failures: failures.map(({ error }) => error.message) }
}

test('the first row, all rows, or one value; null where there is none', async () => {
  const sql = 'SELECT name, id FROM parts WHERE id = ? ORDER BY name'
  expect((await ask(sql, [7, 9])).gives).toEqual([{ name: 'Ink', id: 7 }, null])
  expect((await ask(sql, [7, 9], { rows: 'all' })).gives).toEqual([
    [
      { name: 'Ink', id: 7 },
      { name: 'Pen', id: 7 },
    ],
    [],
  ])
  expect((await ask(sql, [8, 9], { rows: 'value', into: 'name' })).gives).toEqual([
    { value: 8, name: 'Cap' },
    { value: 9, name: null },
  ])
})

test('whatever a device sends is a value and never SQL', async () => {
  const text = fc.oneof(fc.string(), fc.constantFrom("' OR 1=1 --", "7'; DROP TABLE parts; --", '?', '"'))
  await fc.assert(
    fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 5 }), async (texts) => {
      // A NUL would end the text for some of SQLite's own functions, and is kept as a value.
      const { gives } = await ask('SELECT ?', texts, { rows: 'value' })
      expect(gives).toEqual(texts)
    }),
    { numRuns: 30 },
  )
  expect(database.prepare('SELECT count(*) AS n FROM parts').get()).toMatchObject({ n: 3 })
})

test('values go in and come out as what they are', async () => {
  const { gives, failures } = await ask(
    'SELECT ?',
    [1.5, true, null, new Date(0), { a: 1 }, Buffer.from('x'), 2 ** 53, new Date(Number.NaN)],
    { rows: 'value' },
  )
  expect(gives).toEqual([1.5, 1, null, '1970-01-01T00:00:00.000Z', '{"a":1}', Buffer.from('x'), 2 ** 53])
  expect(failures).toEqual(['an invalid time cannot be stored'])
  expect((await ask('SELECT 9007199254740993 AS n', [0])).gives).toEqual([{ n: '9007199254740993' }])
})

test('nothing can be changed, and what others commit is seen', async () => {
  const sql = 'WITH x AS (SELECT 1) INSERT INTO parts SELECT 1, 1 FROM x RETURNING id'
  expect((await ask(sql, [0])).failures).toEqual([`the database ${join(folder, 'parts.db')} is read-only`])
  database.exec("INSERT INTO parts VALUES (9, 'New')")
  expect((await ask('SELECT name FROM parts WHERE id = ?', [9], { rows: 'value' })).gives).toEqual(['New'])
})

test('too many rows and a wrong statement fail, with what to do', async () => {
  const many = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1001) SELECT i FROM n'
  expect((await ask(many, [0], { rows: 'all' })).failures).toEqual([
    'query: there are more than 1000 rows, and no more are taken',
  ])
  expect((await ask('SELECT nam FROM parts', [0])).failures[0]).toContain('no such column: nam')
})

test('a file that is not there is told, and not made', async () => {
  const missing = { sqlite: { file: 'none.db' } }
  await expect(ask('SELECT 1', [0], missing)).rejects.toMatchObject({
    code: 'storage_failed',
    hint: expect.stringContaining('The file must be there'),
  })
  expect(existsSync(join(folder, 'none.db'))).toBe(false)
})

test('mistakes in a statement are found in the configuration', () => {
  const options = { sqlite: { file: 'a.db' }, sql: 'SELECT * FROM t WHERE id = ?', params: [] }
  expect(query.options.safeParse(options).error?.issues).toMatchObject([
    { path: ['sql'], message: 'the statement has 1 parameter, and params has 0 expressions' },
  ])
  const sql = 'SELECT 1'
  const messages = (given: object) => query.options.safeParse(given).error?.issues.map(({ message }) => message)
  expect(messages({ sql })).toEqual(['one of sqlite and postgres is needed'])
  expect(messages({ sql, sqlite: { file: 'a.db' }, postgres: { user: 'u' } })).toEqual([
    'only one of sqlite and postgres',
  ])
  expect(messages({ sql, postgres: { file: 'a.db' } })).toEqual([expect.stringContaining('file')])
})
