import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support/server.ts'
import { createRegistry } from '../registry/builtins.ts'
import { planConfig } from './plan.ts'
import { createServerFromPlan } from './server.ts'
import { readYaml } from './yaml-source.ts'

const query = '{ query: { sqlite: { file: a.db }, sql: SELECT 1, rows: value } }'
const sqlite = '{ sqlite: { file: ./a.db, table: t } }'

/** What `check` says of a configuration, and what a start does. */
async function both(text: string, files: readonly string[] = []) {
  using folder = temporaryFolder()
  for (const file of files) await writeFile(join(folder.path, file), '')
  const { plan, problems } = planConfig(readYaml(text, 'sluice.yaml', folder.path), createRegistry(), {})
  const said = problems
    .filter(({ severity }) => severity === 'error')
    .map(({ code, position, message, hint }) => `${code} ${position?.line}:${position?.column}: ${message} → ${hint}`)
  if (plan === undefined) return { said: said.map((one) => one.replaceAll(folder.path, 'DIR')), started: false }
  const server = createServerFromPlan(plan)
  const started = await server.start().then(
    () => true,
    () => false,
  )
  await server.stop()
  return { said, started }
}

/** Two endpoints with a dataflow each, and what stands beside the second. */
const config = (first: string, second: string, beside = '') =>
  `listen:\n  a: { port: 0, host: 127.0.0.1, dataflow: [ ${first} ] }\n  b: { port: 0, host: 127.0.0.1, dataflow: [ ${second} ]${beside} }\n`

const missing =
  'the file a.db does not exist → looked for DIR/a.db; a sink sqlite that stands before this step creates it'

test('a database that is not there is found before the start', async () => {
  expect(await both(config(query, '{ log: x }'))).toEqual({ said: [`VALUE_INVALID 2:73: ${missing}`], started: false })
  expect(await both(config(query, sqlite))).toEqual({ said: [`VALUE_INVALID 2:73: ${missing}`], started: false })
  expect(await both(config('{ log: x }', `${query}, ${sqlite}`))).toMatchObject({ started: false })
  // What a step does with its failures is made before it.
  const inside = `{ map: msg.x, onError: [ ${sqlite} ] }, ${query}`
  expect(await both(config('{ log: x }', inside))).toEqual({ said: [], started: true })
})

test.each([
  ['stands before it', config('{ log: x }', `${sqlite}, ${query}`)],
  ['stands in another endpoint before it', config(sqlite, query)],
  ['is in a branch before it', config('{ log: x }', `{ fork: { branches: { x: [ ${sqlite} ] } } }, ${query}`)],
  ['takes what failed in the endpoint', config('{ log: x }', query, `, onError: [ ${sqlite} ]`)],
  ['is what is done with what it fails', config('{ log: x }', query.replace(' } }', ` }, onError: [ ${sqlite} ] }`))],
])('a sink that %s creates it', async (_, text) => {
  expect(await both(text)).toEqual({ said: [], started: true })
})

test('a file that is there will do, and one that nothing opens need not be there', async () => {
  expect(await both(config(query, '{ log: x }'), ['a.db'])).toEqual({ said: [], started: true })
  expect(await both(`${config('{ log: x }', '{ log: x }')}dataflows: { spare: [ ${query} ] }`)).toEqual({
    said: [],
    started: true,
  })
})
