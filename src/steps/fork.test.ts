import { expect, test } from 'vitest'
import { Batch } from '../contracts/batch.ts'
import type { Dataflow } from '../contracts/dataflow.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import type { Step, StepResult } from '../contracts/step.ts'
import { createDataflow } from '../engine/dataflow.ts'
import { createBatch, createMessages, createTestContext, testSource } from '../testing/part-context.ts'
import { runStep, runStepNow } from '../testing/run-step.ts'
import { fork } from './fork.ts'

function flow(run: (message: Message) => StepResult | Promise<StepResult>, id = 'inner'): Dataflow {
  return createDataflow([{ id, step: { run } }], { dropped() {}, handled() {} })
}

const failing = (what: string) =>
  flow((message) => {
    if (message.msg === what) throw new SluiceError('sink_failed', `no ${what}`)
    return message.with('changed')
  })

test('each branch gets the same messages and the originals go on', async () => {
  const seen: unknown[] = []
  const watch = (name: string) =>
    flow((message) => {
      seen.push([name, message.msg])
      return undefined
    })
  const step = await fork.create({ branches: { a: watch('a'), b: watch('b') } }, createTestContext())
  const batch = Batch.of(createMessages([1, 2]))
  expect(step.runBatch!(batch, { add() {} })).toBe(batch)
  expect(seen).toEqual([
    ['a', 1],
    ['a', 2],
    ['b', 1],
    ['b', 2],
  ])
})

test('a message that fails in a branch fails once, with the first error, as it was', async () => {
  const later = flow(async (message) => {
    if (message.msg !== 'ok') throw new SluiceError('sink_unavailable', 'later')
    return message
  })
  const renames = createDataflow(
    [
      { id: 'rename', step: { run: (message) => message.with(`${message.msg}!`) } },
      {
        id: 'check',
        step: {
          run(message) {
            if (message.msg === 'bad!') throw new SluiceError('sink_failed', 'now')
            return message
          },
        },
      },
    ],
    { dropped() {}, handled() {} },
  )
  const step = await fork.create({ branches: { later, renames } }, createTestContext())
  const messages = createMessages(['ok', 'bad', 'late'])
  const run = await runStep(step, messages)
  expect(run.messages).toEqual([messages[0]])
  expect(run.failures).toMatchObject([
    { error: { message: 'now' }, step: 'check' },
    { error: { message: 'later' }, step: 'inner' },
  ])
  expect(run.failures.map(({ message }) => message)).toEqual([messages[1], messages[2]])
})

test('of messages that an earlier step made of one, none passes when a changed one failed', async () => {
  const [parent, other] = createMessages(['x', 'other'])
  const parts = [parent!.with('a'), parent!.with('b'), other!]
  const changing = createDataflow(
    [
      { id: 'up', step: { run: (message) => message.with(String(message.msg).toUpperCase()) } },
      {
        id: 'fails',
        step: {
          run(message) {
            if (message.msg === 'B') throw new Error('b')
            return message
          },
        },
      },
    ],
    { dropped() {}, handled() {} },
  )
  const run = runStepNow(await fork.create({ branches: { changing } }, createTestContext()), parts)
  expect(run.gives).toEqual(['other'])
  expect(run.failures.map(({ message }) => message.msg)).toEqual(['a', 'b'])
  const alone = runStepNow(await fork.create({ branches: { plain: failing('b') } }, createTestContext()), parts)
  expect(alone.gives).toEqual(['a', 'other'])
})

test('a message that an onError of its branch has had fails with its chance used', async () => {
  const refuse = (what: string): Step => ({
    run() {
      throw new SluiceError('sink_failed', what)
    },
  })
  const branch = createDataflow(
    [
      {
        id: 'first',
        step: refuse('first'),
        onError: createDataflow([{ id: 'second', step: refuse('second') }], { dropped() {}, handled() {} }),
      },
    ],
    { dropped() {}, handled() {} },
  )
  const step = await fork.create({ branches: { branch } }, createTestContext())
  const [original] = createMessages(['x'])
  const { failures } = runStepNow(step, [original!])
  expect(failures).toMatchObject([
    { error: { message: 'second' }, step: 'second', message: { msg: 'x', error: { message: 'first', step: 'first' } } },
  ])
})

test('many messages that fail at once take no longer each than few', async () => {
  const branch = flow((message) => {
    if (message.msg !== null) throw new SluiceError('sink_failed', 'no')
    return message
  })
  const renamed = createDataflow(
    [
      { id: 'rename', step: { run: (message) => message.with(`${message.msg}!`) } },
      {
        id: 'check',
        step: {
          run() {
            throw new SluiceError('sink_failed', 'no')
          },
        },
      },
    ],
    { dropped() {}, handled() {} },
  )
  const step = await fork.create({ branches: { branch, renamed } }, createTestContext())
  const cost = (count: number) => {
    const messages = createMessages(Array.from({ length: count }, (_, i) => i))
    const begun = process.cpuUsage()
    const { failures, gives } = runStepNow(step, messages)
    expect([failures.length, gives]).toEqual([count, []])
    return process.cpuUsage(begun).user
  }
  const few = Math.max(cost(4096), cost(4096))
  // Sixteen times as many: a search through the batch for each of them would cost 256 times as much.
  expect(cost(65_536) / few).toBeLessThan(128)
})

test('waits for the branches of finishedWhen alone, and close waits for the others', async () => {
  const slow = Promise.withResolvers<void>()
  let slowEnded = false
  const branches = {
    fast: flow((message) => message),
    slow: flow(async (message) => {
      await slow.promise
      slowEnded = true
      return message
    }),
  }
  const step = await fork.create({ branches, finishedWhen: ['fast'] }, createTestContext())
  expect(runStepNow(step, createMessages([1])).gives).toEqual([1])
  const closed = step.close!()
  slow.resolve()
  await closed
  expect(slowEnded).toBe(true)
})

test('what fails in a branch that nobody waits for goes to the dead letters and into the log', async () => {
  const context = createTestContext()
  const branches = { side: failing('bad'), later: flow(async () => Promise.reject(new Error('late'))) }
  const step = await fork.create({ branches, finishedWhen: [] }, context)
  const run = runStepNow(step, createMessages(['bad', 'good']))
  await step.close!()
  expect([run.gives, run.failures]).toEqual([['bad', 'good'], []])
  expect(context.dead.map(({ message, error, step }) => [message.msg, error.message, step])).toEqual([
    ['bad', 'no bad', 'inner'],
    ['bad', 'late', 'inner'],
    ['good', 'late', 'inner'],
  ])
  expect(context.logs[0]).toMatchObject({ level: 'warn', text: 'inner failed in the branch side: no bad' })
})

test('dead letters that fail are told in the log', async () => {
  const deadLetters = { add: () => Promise.reject(new SluiceError('storage_failed', 'disk full')) }
  const context = createTestContext({ deadLetters })
  const step = await fork.create({ branches: { side: failing('bad') }, finishedWhen: [] }, context)
  runStepNow(step, createMessages(['bad']))
  await step.close!()
  expect(context.logs[1]).toMatchObject({ level: 'error' })
  expect(context.logs[1]!.text).toContain('disk full')
})

test('a branch that nobody waits for keeps the order of a connection and holds at most one run of it', async () => {
  const seen: unknown[] = []
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let begun = 0
  const slow = flow(async (message) => {
    await gates[begun++]?.promise
    seen.push(message.msg)
    return message
  })
  const step = await fork.create({ branches: { slow }, finishedWhen: [] }, createTestContext())
  const source = testSource()
  const first = step.runBatch!(Batch.of(createMessages([1], { source })), { add() {} })
  expect(first).toBeInstanceOf(Batch)
  const second = step.runBatch!(Batch.of(createMessages([2], { source })), { add() {} })
  expect(second).toBeInstanceOf(Promise)
  const stranger = step.runBatch!(Batch.of(createMessages([3], { source: testSource({ id: 'other' }) })), { add() {} })
  expect(stranger).toBeInstanceOf(Batch)
  gates[1]!.resolve()
  gates[0]!.resolve()
  await second
  await step.close!()
  expect(seen.filter((value) => value !== 3)).toEqual([1, 2])
})

test('the bound holds for a client also where its messages come from several sources: a buffer, a retry, several runs', async () => {
  const seen: [unknown, string, boolean][] = []
  let running = 0
  let most = 0
  const gates: (() => void)[] = []
  const slow = flow(async (message) => {
    most = Math.max(most, ++running)
    await new Promise<void>((resolve) => gates.push(resolve))
    running--
    seen.push([message.msg, message.client.id, message.source.origin === sources[Number(message.msg) - 1]])
    return message
  })
  const step = await fork.create({ branches: { slow }, finishedWhen: [] }, createTestContext())
  const sources = [testSource(), testSource(), testSource(), testSource({ id: 'other' })]
  const of = (...values: number[]) =>
    Batch.of(values.flatMap((value) => createMessages([value], { source: sources[value - 1]! })))
  const runs = [of(1), of(2, 4), of(3)].map((batch) => step.runBatch!(batch, { add() {} }))
  expect(runs.map((run) => run instanceof Promise)).toEqual([false, true, true])
  expect(gates).toHaveLength(2)
  const done = Promise.all(runs)
  while (seen.length < 4) {
    gates.shift()?.()
    await new Promise(setImmediate)
  }
  await done
  await step.close!()
  // One of each of the two clients at once.
  expect(most).toBe(2)
  expect(seen.filter(([, client]) => client === 'test-1')).toEqual([1, 2, 3].map((value) => [value, 'test-1', true]))
})

test('names in finishedWhen are checked', () => {
  const branches = { database: [], printer: [] }
  const issues = fork.options.safeParse({ branches, finishedWhen: ['printer', 'databse'] }).error?.issues
  expect(issues).toMatchObject([
    { path: ['finishedWhen', 1], message: 'there is no branch "databse"; did you mean "database"?' },
  ])
  expect(fork.options.safeParse({ branches }).success).toBe(true)
  expect(fork.options.safeParse({ branches: {} }).success).toBe(false)
  expect(fork.options.safeParse({ branches: JSON.parse('{"__proto__": []}') }).success).toBe(false)
})

test('clients that come and go while a branch is stuck wait before they fill the memory', async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  let begun = 0
  const stuck = flow(async (message) => {
    begun++
    await promise
    return message
  })
  const waited = flow((message) => message)
  const options = { branches: { stuck, waited }, finishedWhen: ['waited'] }
  const step = await fork.create(options, createTestContext())
  const take = (client: number) =>
    step.runBatch!(createBatch([client], { source: testSource({ id: `c-${client}` }) }), { add() {} })
  for (let client = 1; client <= 10_000; client++) void take(client)
  expect(begun).toBe(10_000)
  const one = take(10_001)
  expect(one).toBeInstanceOf(Promise)
  expect(begun).toBe(10_000)
  resolve()
  await one
  expect(begun).toBe(10_001)
  await step.close?.()
})
