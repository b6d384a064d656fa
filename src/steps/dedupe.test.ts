import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { Batch } from '../contracts/batch.ts'
import type { Dataflow } from '../contracts/dataflow.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Message, Source } from '../contracts/message.ts'
import { createDataflow, type StageSpec } from '../engine/dataflow.ts'
import { FailureList } from '../engine/stages.ts'
import { createStorage } from '../storage/storage.ts'
import { createMessages, createTestClock, createTestContext, testSource } from '../testing/part-context.ts'
import { dedupe } from './dedupe.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-dedupe-'))
const storage = createStorage()
afterAll(async () => {
  await storage.close()
  rmSync(folder, { recursive: true })
})

let files = 0

/** A dataflow that begins with dedupe, in a file of its own. */
async function begin(
  rest: readonly StageSpec[],
  options: { window?: number; maxKeys?: number; reopens?: string } = {},
) {
  const clock = createTestClock()
  const id = options.reopens ?? `once-${++files}`
  const file = join(folder, `dedupe-${id}.db`)
  const context = createTestContext({ id, storage, clock, dataPath: (name) => join(folder, name) })
  const step = await dedupe.create({ window: 3_600_000, maxKeys: 1000, ...options }, context)
  const dropped: number[] = []
  const flow = createDataflow([{ id, step }, ...rest], { dropped: (count) => dropped.push(count), handled() {} })
  const run = async (messages: readonly Message[]) => runFlow(flow, messages)
  return { id, run, clock, file, dropped, logs: context.logs, close: () => step.close!() }
}

async function runFlow(flow: Dataflow, messages: readonly Message[]) {
  const failures = new FailureList()
  const passed = await flow.run(Batch.of(messages), failures)
  return {
    passed: passed.messages.map(({ msg }) => msg),
    failed: failures.entries.map(({ message, error, step }) => [message.msg, error.code, step]),
  }
}

/** Messages with a key for each value: what stands before the colon. */
function keyed(values: readonly string[], source: Source = testSource()): Message[] {
  return createMessages(values, { source }).map((message) => message.withKey(message.msg.split(':')[0]!))
}

/** What a sink was given; it refuses what ends with "!", as often as the list says. */
function store(refusals = 0) {
  const rows: unknown[] = []
  let left = refusals
  const spec: StageSpec = {
    id: 'store',
    sink: {
      async write(batch) {
        return batch.messages.map(({ msg }) => {
          if (String(msg).endsWith('!') && left-- > 0) return new SluiceError('sink_failed', 'no')
          rows.push(msg)
          return undefined
        })
      },
      close() {},
    },
  }
  return { rows, spec }
}

const reply: StageSpec = {
  id: 'reply',
  step: {
    run(message) {
      message.source.reply(message.sequence, 'text', `OK ${message.msg}`)
      return message
    },
  },
}

const texts = (source: ReturnType<typeof testSource>) =>
  source.replies.map(({ sequence, content }) => `${sequence} ${content}`)

test('a repeat in the same batch and in a later one is answered as the first, and delivered once', async () => {
  const { rows, spec } = store()
  const { run, dropped, close } = await begin([spec, reply])
  const source = testSource()
  expect(await run(keyed(['1:a', '2:b', '1:c'], source))).toEqual({ passed: ['1:a', '2:b'], failed: [] })
  expect(texts(source)).toEqual(['1 OK 1:a', '2 OK 2:b', '3 OK 1:a'])
  const other = testSource({ id: 'test-2' })
  expect(await run(keyed(['2:d', '3:e', '1:f'], other))).toEqual({ passed: ['3:e'], failed: [] })
  expect(texts(other).sort()).toEqual(['1 OK 2:b', '2 OK 3:e', '3 OK 1:a'])
  expect(rows).toEqual(['1:a', '2:b', '3:e'])
  expect(dropped).toEqual([1, 2])
  await close()
})

test('a message that has failed is tried again, in the same batch and later, whoever takes the failure', async () => {
  for (const onError of [undefined, createDataflow([], { dropped() {}, handled() {} })]) {
    const { rows, spec } = store(2)
    const { run, close } = await begin([{ ...spec, onError }, reply])
    const source = testSource()
    await run(keyed(['1:a!', '1:b!', '2:c'], source))
    expect(rows).toEqual(['2:c'])
    expect(texts(source)).toEqual(['3 OK 2:c'])
    await run(keyed(['1:d!', '1:e!'], source))
    expect(rows).toEqual(['2:c', '1:d!'])
    expect(texts(source).slice(1)).toEqual(['1 OK 1:d!', '2 OK 1:d!'])
    await close()
  }
})

test('what was answered before a failure is answered, and not kept', async () => {
  const { rows, spec } = store(1)
  const { run, close } = await begin([reply, spec])
  const source = testSource()
  expect((await run(keyed(['1:a!'], source))).failed).toEqual([['1:a!', 'sink_failed', 'store']])
  expect(texts(source)).toEqual(['1 OK 1:a!'])
  await run(keyed(['1:b!'], source))
  expect(texts(source)).toEqual(['1 OK 1:a!', '1 OK 1:b!'])
  expect(rows).toEqual(['1:b!'])
  await close()
})

test('no answer leaves before its key is on disk', async () => {
  const seen: number[] = []
  const { run, file, close } = await begin([reply])
  using reader = new DatabaseSync(file, { readOnly: true })
  const source = testSource()
  const remember = source.reply
  source.reply = (...answer) => {
    seen.push(Number(reader.prepare('SELECT count(*) AS n FROM keys').get()!['n']))
    remember(...answer)
  }
  await run(keyed(['1', '2'], source))
  expect(seen).toEqual([2, 2])
  await close()
})

test('a repeat on another connection waits for the first, and is tried in its turn when that fails', async () => {
  for (const fails of [false, true]) {
    const gate = Promise.withResolvers<void>()
    const entered = Promise.withResolvers<void>()
    const tried: unknown[] = []
    const held: StageSpec = {
      id: 'held',
      step: {
        async run(message) {
          tried.push(message.msg)
          entered.resolve()
          await gate.promise
          if (fails && tried.length === 1) throw new Error('no')
          return message
        },
      },
    }
    const { run, close } = await begin([held, reply])
    const [one, two] = [testSource(), testSource({ id: 'test-2' })]
    const first = run(keyed(['1:a'], one))
    await entered.promise
    const second = run(keyed(['1:b'], two))
    gate.resolve()
    await Promise.all([first, second])
    expect(tried).toEqual(fails ? ['1:a', '1:b'] : ['1:a'])
    expect([texts(one), texts(two)]).toEqual(fails ? [[], ['1 OK 1:b']] : [['1 OK 1:a'], ['1 OK 1:a']])
    await close()
  }
})

test('two runs that wait for keys of each other come to an end', async () => {
  const { rows, spec } = store()
  const { run, close } = await begin([spec])
  await Promise.all([run(keyed(['1', '2', '1'])), run(keyed(['2', '1', '2'])), run(keyed(['1', '2']))])
  expect(rows.toSorted()).toEqual(['1', '2'])
  await close()
})

test('a key is forgotten when its time is over', async () => {
  const { rows, spec } = store()
  const { run, clock, close } = await begin([spec], { window: 1000, maxKeys: 1 })
  await run(keyed(['1:a']))
  clock.advance(1000)
  await run(keyed(['1:b']))
  expect(rows).toEqual(['1:a'])
  clock.advance(1)
  await run(keyed(['1:c']))
  expect(rows).toEqual(['1:a', '1:c'])
  await close()
})

test('old keys are removed from the file, by age and by number', async () => {
  const { spec } = store()
  const { run, clock, file, close } = await begin([spec], { window: 1000, maxKeys: 3 })
  using reader = new DatabaseSync(file, { readOnly: true })
  const count = () => Number(reader.prepare('SELECT count(*) AS n FROM keys').get()!['n'])
  for (const key of ['1', '2', '3', '4', '5']) await run(keyed([key]))
  expect(count()).toBe(3)
  clock.advance(1001)
  await run(keyed(['6']))
  expect(count()).toBe(1)
  await close()
})

test('the oldest key is forgotten when there are too many', async () => {
  const { rows, spec } = store()
  const { run, close } = await begin([spec], { maxKeys: 2 })
  for (const value of ['1:a', '2:b', '3:c', '3:d', '2:e', '1:f']) await run(keyed([value]))
  expect(rows).toEqual(['1:a', '2:b', '3:c', '1:f'])
  await close()
})

test('a message without a key always goes on, and keeps its place', async () => {
  const { rows, spec } = store()
  const { run, close } = await begin([spec, reply])
  const source = testSource()
  const messages = () => {
    const [a, b, c] = createMessages(['a', 'b', 'c'], { source })
    return [a!, b!.withKey('1'), c!]
  }
  await run(messages())
  await run(messages())
  expect(rows).toEqual(['a', 'b', 'c', 'a', 'c'])
  expect(texts(source).slice(3).sort()).toEqual(['1 OK a', '2 OK b', '3 OK c'])
  await close()
})

test('messages that a step made of one have keys of their own, and the answers of all are given once', async () => {
  const { rows, spec } = store()
  const { run, close } = await begin([spec, reply])
  const parts = (source: Source) => [0, 1].map((i) => keyed(['1:a'], source)[0]!.asPart(i))
  for (const source of [testSource(), testSource({ id: 'test-2' })]) {
    await run(parts(source))
    expect(texts(source)).toEqual(['1 OK 1:a', '1 OK 1:a'])
  }
  expect(rows).toEqual(['1:a', '1:a'])
  await close()
})

test('an answer that cannot be written fails its message, which is then tried again', async () => {
  let writable = false
  const unwritable: StageSpec = {
    id: 'reply',
    step: {
      run(message) {
        message.source.reply(1, 'value', writable ? { ok: true } : () => undefined)
        return message
      },
    },
  }
  const { run, close } = await begin([unwritable])
  const source = testSource()
  expect((await run(keyed(['1'], source))).failed).toEqual([['1', 'format_not_printable', 'reply']])
  writable = true
  await run(keyed(['1'], source))
  await run(keyed(['1'], source))
  expect(texts(source)).toEqual(['1 {"ok":true}', '1 {"ok":true}'])
  await close()
})

test('raw bytes are answered as they are, and other files go on with the source', async () => {
  const raw: StageSpec = {
    id: 'raw',
    step: {
      run(message) {
        message.source.reply(1, 'raw', Buffer.from([0, 255]))
        message.state['seen'] = true
        message.source.close()
        return message
      },
    },
  }
  const { run, close } = await begin([raw])
  const source = testSource()
  await run(keyed(['1'], source))
  await run(keyed(['1'], source))
  expect(source.replies).toMatchObject([
    { kind: 'raw', content: Buffer.from([0, 255]) },
    { kind: 'raw', content: Buffer.from([0, 255]) },
  ])
  expect([source.closed, source.state, source.client.id]).toEqual([true, { seen: true }, 'test-1'])
  await close()
})

test('where keys cannot be looked up, messages that may be repeats fail and the others go on', async () => {
  const { rows, spec } = store()
  const { run, file, close } = await begin([spec])
  await run(keyed(['1:a']))
  using database = new DatabaseSync(file)
  database.exec('ALTER TABLE keys RENAME COLUMN answers TO hidden')
  const [first] = createMessages(['b'])
  expect(await run([first!, ...keyed(['1:c'])])).toMatchObject({
    passed: ['b'],
    failed: [['1:c', 'storage_failed', expect.stringContaining('once-')]],
  })
  expect(rows).toEqual(['1:a', 'b'])
  await close()
})

test('a key is known again when the file is opened anew', async () => {
  const { rows, spec } = store()
  const first = await begin([spec, reply])
  await first.run(keyed(['1:a', '2:b', `${'x'.repeat(300)}:c`, '\ud800:d']))
  await first.close()
  const second = await begin([spec, reply], { reopens: first.id })
  const source = testSource()
  await second.run(keyed(['1:e', `${'x'.repeat(300)}:f`, '\ud800:g', '3:h'], source))
  expect(rows.slice(4)).toEqual(['3:h'])
  expect(texts(source).sort()).toEqual([
    '1 OK 1:a',
    `2 OK ${'x'.repeat(300)}:c`,
    `3 OK ${Buffer.from('\ud800')}:d`,
    '4 OK 3:h',
  ])
  await second.close()
})

test('where keys cannot be recorded, what is delivered is answered all the same, and the log says it', async () => {
  const { spec } = store()
  const { run, file, logs, close } = await begin([spec, reply])
  using database = new DatabaseSync(file)
  database.exec("CREATE TRIGGER full BEFORE INSERT ON keys BEGIN SELECT raise(ABORT, 'full'); END")
  const source = testSource()
  expect((await run(keyed(['1:a'], source))).failed).toEqual([])
  expect(texts(source)).toEqual(['1 OK 1:a'])
  expect(logs).toMatchObject([{ level: 'error', text: expect.stringContaining('1 keys could not be kept') }])
  await close()
})

test('a file of a newer version is refused and left as it is', async () => {
  const id = `once-${++files}`
  using database = new DatabaseSync(join(folder, `dedupe-${id}.db`))
  database.exec('PRAGMA user_version = 99')
  const context = createTestContext({ id, storage, dataPath: (name) => join(folder, name) })
  await expect(async () => dedupe.create({ window: 1000, maxKeys: 10 }, context)).rejects.toThrow(/newer version/)
})

test('whatever is sent, fails and overlaps: each key is delivered once, and every success has the first answer', async () => {
  const message = fc.record({ key: fc.integer({ min: 1, max: 5 }), fails: fc.boolean() })
  const connections = fc.array(fc.array(fc.array(message, { maxLength: 6 }), { maxLength: 4 }), { maxLength: 4 })
  await fc.assert(
    fc.asyncProperty(connections, async (all) => {
      const delivered = new Map<string, string>()
      let twice = 0
      const sink: StageSpec = {
        id: 'sink',
        step: {
          async run(message) {
            await new Promise(setImmediate)
            const [key, value] = String(message.msg).split(':') as [string, string]
            if (value.endsWith('!')) throw new Error('no')
            if (delivered.has(key)) twice++
            delivered.set(key, `OK ${message.msg}`)
            return message
          },
        },
      }
      const { run, close } = await begin([sink, reply])
      const wrong: string[] = []
      await Promise.all(
        all.map(async (batches, c) => {
          for (const [b, batch] of batches.entries()) {
            const source = testSource({ id: `test-${c}` })
            const values = batch.map(({ key, fails }, i) => `${key}:${c}.${b}.${i}${fails ? '!' : ''}`)
            const { failed } = await run(keyed(values, source))
            const lost = new Set(failed.map(([msg]) => msg))
            for (const [i, value] of values.entries()) {
              const answers = texts(source).filter((text) => text.startsWith(`${i + 1} `))
              const wanted = lost.has(value) ? [] : [`${i + 1} ${delivered.get(value.split(':')[0]!)}`]
              if (answers.join() !== wanted.join()) wrong.push(`${value}: ${answers}, not ${wanted}`)
            }
          }
        }),
      )
      await close()
      expect([twice, wrong]).toEqual([0, []])
    }),
    { numRuns: 40 },
  )
})
