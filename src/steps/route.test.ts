import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Batch } from '../contracts/batch.ts'
import type { Dataflow } from '../contracts/dataflow.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import type { StepResult } from '../contracts/step.ts'
import { createDataflow } from '../engine/dataflow.ts'
import { createExpression } from '../testing/expressions.ts'
import { createFramesBatch, createMessages, createTestContext } from '../testing/part-context.ts'
import { runStep, runStepNow } from '../testing/run-step.ts'
import { route } from './route.ts'

const context = createTestContext()

function flow(run: (message: Message) => StepResult | Promise<StepResult>): Dataflow {
  return createDataflow([{ id: 'inner', step: { run } }], { dropped() {}, handled() {} })
}

const isNumber = (test: (value: number) => boolean) => createExpression(({ msg }) => test(msg as number))
const tagged = (tag: string) => flow((message) => message.with(`${tag}${message.msg}`))

test('the first case that fits takes the message; results keep the order; the rest passes', async () => {
  const step = await route.create(
    [
      { if: isNumber((n) => n > 100), dataflow: tagged('big') },
      { if: isNumber((n) => n > 10), dataflow: tagged('mid') },
    ],
    context,
  )
  expect(runStepNow(step, createMessages([50, 500, 5, 20])).gives).toEqual(['mid50', 'big500', 5, 'mid20'])
})

test('else takes what no case takes', async () => {
  const step = await route.create(
    [{ if: isNumber((n) => n > 10), dataflow: tagged('big') }, { else: tagged('small') }],
    context,
  )
  expect(runStepNow(step, createMessages([1, 11])).gives).toEqual(['small1', 'big11'])
})

test('each case runs its part as one batch, and a batch that goes one way goes as it is', async () => {
  const seen: Batch[] = []
  const watching: Dataflow = {
    run(batch) {
      seen.push(batch)
      return batch
    },
  }
  const step = await route.create([{ if: isNumber(() => true), dataflow: watching }], context)
  const batch = createFramesBatch(['a', 'b'], context.codec.format)
  expect(step.runBatch!(batch, { add() {} })).toBe(batch)
  expect(seen).toEqual([batch])
})

test('cases may drop, split, fail and wait; order and outcomes hold', async () => {
  const inner = new SluiceError('sink_failed', 'no')
  const step = await route.create(
    [
      { if: isNumber((n) => n % 5 === 0), dataflow: flow(() => undefined) },
      { if: isNumber((n) => n % 5 === 1), dataflow: flow((m) => [m.with('x'), m.with('y')]) },
      { if: isNumber((n) => n % 5 === 2), dataflow: flow(async (m) => m.with('later')) },
      {
        if: isNumber((n) => n % 5 === 3),
        dataflow: flow(() => {
          throw inner
        }),
      },
    ],
    context,
  )
  const run = await runStep(step, createMessages([0, 1, 2, 3, 4, 6]))
  expect(run.gives).toEqual(['x', 'y', 'later', 4, 'x', 'y'])
  expect(run.failures).toMatchObject([{ error: inner, step: 'inner' }])
})

test('parts run one after the other in the order of the messages, whichever case they take', async () => {
  const written: unknown[] = []
  let running = 0
  const writing = flow(async (message) => {
    expect(running++).toBe(0)
    await Promise.resolve()
    written.push(message.msg)
    running--
    return message
  })
  const atOnce = flow((message) => {
    written.push(message.msg)
    return message
  })
  const step = await route.create(
    [
      { if: isNumber((n) => n % 3 === 0), dataflow: writing },
      { if: isNumber((n) => n % 3 === 1), dataflow: atOnce },
      { else: writing },
    ],
    context,
  )
  const numbers = [1, 0, 2, 4, 7, 3, 5, 8]
  const run = await runStep(step, createMessages(numbers))
  expect(written).toEqual(numbers)
  expect(run.gives).toEqual(numbers)
})

test('neighbours that take the same case run as one batch', async () => {
  const sizes: number[] = []
  const counting = (): Dataflow => ({
    run(batch) {
      sizes.push(batch.length)
      return batch
    },
  })
  const step = await route.create([{ if: isNumber((n) => n > 9), dataflow: counting() }, { else: counting() }], context)
  expect(runStepNow(step, createMessages([1, 2, 3, 10, 11, 4])).gives).toEqual([1, 2, 3, 10, 11, 4])
  expect(sizes).toEqual([3, 2, 1])
})

test('a condition that throws fails that message alone', async () => {
  const step = await route.create(
    [
      {
        if: createExpression(({ msg }) => {
          if (msg === 'bad') throw new Error('why')
          return true
        }),
        dataflow: flow((m) => m),
      },
    ],
    context,
  )
  const run = runStepNow(step, createMessages(['a', 'bad', 'b']))
  expect(run.gives).toEqual(['a', 'b'])
  expect(run.failures).toMatchObject([{ error: { code: 'expression_failed', message: 'why' }, step: 'tested' }])
  expect(runStepNow(step, createMessages(['bad'])).gives).toEqual([])
})

test('no message is lost or doubled, whichever way it goes', async () => {
  const step = await route.create(
    [
      { if: isNumber((n) => n % 3 === 0), dataflow: flow((m) => m) },
      { if: isNumber((n) => n % 3 === 1), dataflow: flow(async (m) => m.with(m.msg)) },
    ],
    context,
  )
  const property = fc.asyncProperty(fc.array(fc.nat(20)), async (numbers) => {
    expect((await runStep(step, createMessages(numbers))).gives).toEqual(numbers)
  })
  await fc.assert(property, { numRuns: 100 })
})

test('says what is wrong with its cases', () => {
  const problems = (cases: unknown) => route.options.safeParse(cases).error?.issues.map(({ message }) => message)
  expect(problems([{ if: 'a', dataflow: [] }, { else: [] }])).toBeUndefined()
  expect(problems([{ else: [] }, { if: 'a', dataflow: [] }])).toEqual(['else must be the last entry'])
  expect(problems([{ else: [] }, { else: [] }])).toEqual(['else must be the last entry'])
  expect(problems([{ dataflow: [] }])).toEqual(['if is needed: the condition for this case'])
  expect(problems([{ if: 'a' }])).toEqual(['dataflow is needed: the steps of this case'])
  expect(problems([{ if: 'a', dataflow: [], else: [] }])).toEqual([
    'else stands alone, in an entry of its own at the end',
  ])
  expect(problems([])).toHaveLength(1)
  expect(problems([{ if: 'a', steps: [] }])?.[0]).toContain('steps')
})
