import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { Batch } from '../contracts/batch.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Step } from '../contracts/step.ts'
import { createMessages, createTestContext, testSource } from '../testing/part-context.ts'
import { runStep, runStepNow } from '../testing/run-step.ts'
import { script } from './script.ts'

let folder: string
const open: Step[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-script-'))
})
afterEach(async () => {
  for (const step of open.splice(0)) await step.close?.()
})
afterAll(() => rm(folder, { recursive: true }))

let files = 0

/** Writes a script and makes a step of it. */
async function create(source: string, options: object = {}): Promise<Step> {
  const file = `script-${++files}.ts`
  await writeFile(join(folder, file), source)
  return createFor(file, options)
}

async function createFor(file: string, options: object = {}): Promise<Step> {
  const context = createTestContext({ resolvePath: (path) => resolve(folder, path) })
  const step = await script.create(script.options.parse({ file: `./${file}`, ...options }), context)
  open.push(step)
  return step
}

async function failureOf(promise: Promise<unknown>): Promise<SluiceError> {
  const thrown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(thrown instanceof SluiceError)) throw new Error(`expected a SluiceError, got ${thrown}`)
  return thrown
}

describe.each([
  ['in a worker thread', {}],
  ['in a process', { isolate: 'process' }],
  ['inline', { inline: true }],
])('%s', (_, options) => {
  test('gives the value; undefined ends the message; null is a value', async () => {
    const step = await create(
      'export default (msg: number) => (msg === 1 ? undefined : msg === 2 ? null : msg * 2)',
      options,
    )
    const messages = createMessages([1, 2, 3])
    const run = await runStep(step, messages)
    expect(run.gives).toEqual([null, 6])
    expect(run.messages.map(({ sequence }) => sequence)).toEqual([2, 3])
  })

  test('may be async, and keeps the order', async () => {
    const step = await create('export default async (msg) => { await null; return [msg, msg] }', options)
    expect((await runStep(step, createMessages(['a', 'b']))).gives).toEqual([
      ['a', 'a'],
      ['b', 'b'],
    ])
  })

  test('sees the context, and bytes as Buffers', async () => {
    const step = await create(
      `export default (msg, { raw, client, event, received, endpoint, state, error }) => ({
        bytes: Buffer.isBuffer(msg.part) && Buffer.isBuffer(raw) && Buffer.isBuffer(msg.list[0]),
        raw: raw.toString(), client: client.id, tags: client.tags, event, received: received.toISOString(), endpoint,
        state: state.seen, error: error?.code, part: msg.part.subarray(1),
      })`,
      options,
    )
    const source = testSource({ tags: { room: 'a' } })
    source.state['seen'] = 3
    const part = Buffer.from('xyz').subarray(1)
    const messages = createMessages([{ part, list: [part] }], { source })
    const failed = messages[0]!.withError({ message: 'm', code: 'sink_failed', step: 's', retryable: false })
    const [value] = (await runStep(step, [failed])).gives as [Record<string, unknown>]
    expect(value).toMatchObject({
      bytes: true,
      raw: messages[0]!.raw.toString(),
      client: 'test-1',
      tags: { room: 'a' },
      event: 'message',
      received: '2026-01-01T00:00:00.000Z',
      endpoint: 'test',
      state: 3,
      error: 'sink_failed',
    })
    expect(Buffer.isBuffer(value['part']) && value['part'].toString()).toBe('z')
  })

  test('cannot write the state', async () => {
    const step = await create('export default (msg, { state }) => { state.x = msg }', options)
    const source = testSource()
    const run = await runStep(step, createMessages([1], { source }))
    expect(run.failures).toMatchObject([{ error: { code: 'script_failed' } }])
    expect(source.state).toEqual({})
  })

  test('a message for which it throws fails alone, with the line of the script', async () => {
    const step = await create(
      `interface Item { deep: { value: number } }

export default (msg: Item) => {
  return msg.deep.value
}
`,
      options,
    )
    const run = await runStep(step, createMessages([{ deep: { value: 1 } }, {}, { deep: { value: 3 } }]))
    expect(run.gives).toEqual([1, 3])
    expect(run.failures).toHaveLength(1)
    const { error } = run.failures[0]!
    expect(error.code).toBe('script_failed')
    expect(error.message).toMatch(
      /^script-\d+\.ts: Cannot read properties of undefined \(reading 'value'\) \(script-\d+\.ts:4:\d+\)$/,
    )
  })

  test('what is thrown need not be an error', async () => {
    const step = await create('export default () => { throw { why: [1] } }', options)
    const { failures } = await runStep(step, createMessages([1]))
    expect(failures[0]!.error.message).toMatch(/: \{ why: \[ 1 \] \}$/)
  })

  test('a named export', async () => {
    const step = await create('export function double(msg: number) { return msg * 2 }', {
      ...options,
      export: 'double',
    })
    expect((await runStep(step, createMessages([4]))).gives).toEqual([8])
  })

  test('a script that cannot be loaded is an error with the cure when the step is created', async () => {
    const missing = await failureOf(createFor('nowhere.ts', options))
    expect(missing).toMatchObject({
      code: 'script_failed',
      message: `the script ${join(folder, 'nowhere.ts')} cannot be read`,
    })
    expect(missing.hint).toContain('starts at the folder of the configuration file')

    const syntax = await failureOf(create('export default (msg) => {\n  return msg +\n}\n', options))
    expect(syntax.message).toMatch(/^script-\d+\.ts cannot be loaded: /)

    const enums = await failureOf(create('enum Unit { kg }\nexport default () => Unit.kg', options))
    expect(enums.hint).toContain('only removes types')

    const throwing = await failureOf(create('\nthrow new Error("no table")\n', options))
    expect(throwing.message).toMatch(/cannot be loaded: no table \(script-\d+\.ts:2:7\)$/)

    const missingImport = await failureOf(create('import x from "no-such-package-here"\nexport default x', options))
    expect(missingImport.message).toContain('no-such-package-here')
    expect(missingImport.hint).toContain('Install the package')

    const nothing = await failureOf(create('export const table = 1', options))
    expect(nothing.message).toMatch(/exports no function named "default"$/)
    expect(nothing.hint).toContain('export default')

    const other = await failureOf(create('export const convert = () => 1', options))
    expect(other.hint).toContain('export: convert')
  })
})

describe.each([
  ['thread', 'script_failed'],
  ['process', 'process_died'],
] as const)('in a %s', (isolate, died) => {
  test('tells which messages it ends', async () => {
    const step = await create('export default (msg) => (msg > 1 ? msg : undefined)', { isolate })
    const messages = createMessages([1, 2])
    const dropped: unknown[] = []
    await step.runBatch!(Batch.of(messages), { add() {}, drop: (message) => dropped.push(message) })
    expect(dropped).toEqual([messages[0]])
  })

  test('the value of the message cannot be changed from there', async () => {
    const step = await create('export default (msg) => { msg.a = 2; return msg }', { isolate })
    const given = { a: 1 }
    expect((await runStep(step, createMessages([given]))).gives).toEqual([{ a: 2 }])
    expect(given).toEqual({ a: 1 })
  })

  test('an endless loop fails the one message that causes it', async () => {
    const step = await create('export default (msg) => { while (msg === "loop"); return `${msg}!` }', {
      timeout: '200ms',
      isolate,
    })
    const run = await runStep(step, createMessages(['a', 'loop', 'b']))
    expect(run.gives).toEqual(['a!', 'b!'])
    expect(run.failures).toMatchObject([{ message: { msg: 'loop' }, error: { code: 'step_timeout' } }])
    expect(run.failures[0]!.error.message).toMatch(/^script-\d+\.ts did not finish within 200ms$/)
    expect((await runStep(step, createMessages(['c']))).gives).toEqual(['c!'])
  })

  test('begins with nothing more when nobody waits any longer, and is there for others', async () => {
    const step = await create('export default (msg) => { while (msg === "loop"); return `${msg}!` }', {
      timeout: '300ms',
      isolate,
    })
    const over = new AbortController()
    const tried = ['x', 'y'].map(() =>
      step.runBatch!(Batch.of(createMessages(Array.from({ length: 50 }, () => 'loop'))), {
        signal: over.signal,
        add() {},
      }),
    )
    const late = step.runBatch!(Batch.of(createMessages(['late'])), { signal: over.signal, add() {} })
    over.abort()
    await expect(late).rejects.toThrow('This operation was aborted')
    expect((await Promise.all(tried)).map((batch) => batch?.length)).toEqual([0, 0])
    expect((await runStep(step, createMessages(['c']))).gives).toEqual(['c!'])
  })

  test('a promise that never ends is an overrun too', async () => {
    const step = await create('export default () => new Promise(() => {})', { timeout: '100ms', isolate })
    const run = await runStep(step, createMessages([1]))
    expect(run.failures).toMatchObject([{ error: { code: 'step_timeout' } }])
  })

  test('a script that ends what it runs in fails the one message that causes it', async () => {
    const step = await create('export default (msg) => (msg === "exit" ? process.exit(3) : msg)', { isolate })
    const run = await runStep(step, createMessages(['a', 'exit', 'b']))
    expect(run.gives).toEqual(['a', 'b'])
    expect(run.failures).toMatchObject([{ error: { code: died } }])
    expect(run.failures[0]!.error.message).toMatch(/ended (the thread|its process) with code 3$/)
  })

  test('an error outside of the function ends it, and the next batch gets a new one', async () => {
    const step = await create(
      'export default async (msg) => { if (msg === "bad") { queueMicrotask(() => { throw new Error("stray") }); await new Promise(() => {}) } return msg }',
      { isolate },
    )
    const run = await runStep(step, createMessages(['bad', 'good']))
    expect(run.gives).toEqual(['good'])
    expect(run.failures).toMatchObject([{ message: { msg: 'bad' }, error: { code: died } }])
    if (isolate === 'thread') expect(run.failures[0]!.error.message).toContain('stray')
  })

  test('values that cannot be copied fail alone', async () => {
    const out = await create('export default (msg) => (msg === 1 ? () => 1 : msg)', { isolate })
    const left = await runStep(out, createMessages([1, 2]))
    expect(left.gives).toEqual([2])
    expect(left.failures[0]!.error.message).toContain('cannot leave the script')
    const into = await create('export default () => 1', { isolate })
    const entered = await runStep(into, createMessages([{ call: () => 1 }, 2]))
    expect(entered.gives).toEqual([1])
    expect(entered.failures[0]!.error.message).toContain('cannot be handed to')
    const loop = await create('export default () => { const a = {}; a.a = a; return a }', { isolate })
    expect((await runStep(loop, createMessages([1]))).failures).toHaveLength(1)
  })

  test('connections share two of them, and all get their turn', async () => {
    const step = await create(
      'import { threadId } from "node:worker_threads"\nexport default async (msg) => { await new Promise(setImmediate); return [msg, `${process.pid} ${threadId}`] }',
      { isolate },
    )
    const runs = await Promise.all(Array.from({ length: 10 }, (_, i) => runStep(step, createMessages([i]))))
    const values = runs.map(({ gives }) => gives[0] as [number, string])
    expect(values.map(([value]) => value)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(new Set(values.map(([, thread]) => thread)).size).toBe(2)
  })

  test('a script that has gone while the server runs fails the messages, not the server', async () => {
    const step = await create('export default () => process.exit(1)', { isolate })
    await rm(join(folder, `script-${files}.ts`))
    const run = await runStep(step, createMessages([1, 2]))
    expect(run.failures.map(({ message, error }) => [message.msg, error.code])).toEqual([
      [1, 'script_failed'],
      [2, 'script_failed'],
    ])
  })

  test('a step that is closed ends what still runs', async () => {
    const step = await create('export default () => { while (true); }', { timeout: '1h', isolate })
    const run = runStep(step, createMessages([1]))
    await step.close!()
    expect((await run).failures).toHaveLength(1)
  })

  test('an idle step does not keep the process alive', async () => {
    await writeFile(join(folder, 'idle.ts'), 'export default (msg) => msg')
    const program = `
      import { script } from ${JSON.stringify(new URL('./script.ts', import.meta.url).href)}
      const context = { resolvePath: (path) => path }
      await script.create(script.options.parse({ file: ${JSON.stringify(join(folder, 'idle.ts'))}, isolate: '${isolate}' }), context)
    `
    await writeFile(join(folder, 'program.mjs'), program)
    const child = spawn(process.execPath, [join(folder, 'program.mjs')], { stdio: 'inherit' })
    expect(await once(child, 'exit')).toEqual([0, null])
  })
})

describe('inline', () => {
  test('a function that does not wait keeps the dataflow synchronous', async () => {
    const step = await create('export default (msg) => msg + 1', { inline: true })
    expect(runStepNow(step, createMessages([1, 2])).gives).toEqual([2, 3])
  })

  test('a script that has changed is loaded anew', async () => {
    const step = await create('export default () => "old"', { inline: true })
    expect(runStepNow(step, createMessages([1])).gives).toEqual(['old'])
    const file = `script-${files}.ts`
    await writeFile(join(folder, file), 'export default () => "new"')
    expect(runStepNow(await createFor(file, { inline: true }), createMessages([1])).gives).toEqual(['new'])
  })
})

test('the options are strict and have defaults', () => {
  expect(script.options.parse({ file: 'a.ts' })).toEqual({
    file: 'a.ts',
    export: 'default',
    timeout: 5000,
    isolate: 'thread',
    inline: false,
  })
  expect(script.options.safeParse({ file: 'a.ts', timeout: 5 }).success).toBe(false)
  expect(script.options.safeParse({ file: 'a.ts', fil: 1 }).success).toBe(false)
})
