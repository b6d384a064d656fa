import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Batch } from '../contracts/batch.ts'
import type { Dataflow } from '../contracts/dataflow.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { createExpression } from '../testing/expressions.ts'
import { createMessages, createTestClock, createTestContext } from '../testing/part-context.ts'
import { runStep } from '../testing/run-step.ts'
import { repeat } from './repeat.ts'

const isZero = createExpression<boolean>(({ msg }) => msg === 0)

type Made = SluiceError | readonly Message[]

/** A dataflow that gives what a function makes of a message, at once or later in turn. */
function dataflowOf(make: (message: Message, run: number) => Made): Dataflow {
  let runs = 0
  return {
    run(batch, failures) {
      const [message] = batch.messages
      const made = make(message!, ++runs)
      if (made instanceof SluiceError) failures.add(message!, made, 'inner')
      const result = Batch.of(made instanceof SluiceError ? [] : made)
      return runs % 2 === 0 ? result : Promise.resolve(result)
    },
  }
}

const lessOne = dataflowOf((message) => [message.with((message.msg as number) - 1)])
const refused = new SluiceError('step_failed', 'refused')

interface Options {
  readonly until?: typeof isZero
  readonly max?: number
  readonly pause?: number
}

async function run(dataflow: Dataflow, values: readonly unknown[], options: Options = {}, clock = createTestClock()) {
  const step = await repeat.create({ dataflow, max: 10, pause: 0, ...options }, createTestContext({ clock }))
  const { gives, failures } = await runStep(step, createMessages(values))
  return { gives, failures: failures.map(({ message, error, step: at }) => [message.msg, error.message, at]) }
}

test('what takes long gives others their turn', async () => {
  const clock = createTestClock()
  let turns = 0
  const seen: number[] = []
  const slow: Dataflow = {
    run(batch) {
      seen.push(turns)
      setImmediate(() => turns++)
      clock.advance(5)
      return Batch.of(batch.messages.map((message) => message.with((message.msg as number) - 1)))
    },
  }
  expect((await run(slow, [3, 3], { until: isZero }, clock)).gives).toEqual([0, 0])
  // Each run takes half of what may be taken at a time.
  expect(seen).toEqual([0, 0, 2, 2, 4, 4])
})

describe('with a condition', () => {
  test('a message goes through until it holds, at most so many times, and fails as it came', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 20 })),
        fc.integer({ min: 1, max: 20 }),
        async (values, max) => {
          const { gives, failures } = await run(lessOne, values, { until: isZero, max })
          expect(gives).toEqual(values.filter((value) => value <= max).map(() => 0))
          const text = `repeat: after ${max} times it is not so that ${isZero.source}`
          expect(failures).toEqual(values.filter((value) => value > max).map((value) => [value, text, 'tested']))
        },
      ),
    )
  })

  test('a failure inside fails the message at once, with the step that it failed in', async () => {
    let runs = 0
    const dataflow = dataflowOf((message) => (++runs === 2 ? refused : [message]))
    expect(await run(dataflow, [5], { until: isZero })).toEqual({ gives: [], failures: [[5, 'refused', 'inner']] })
    expect(runs).toBe(2)
  })

  test('that cannot be evaluated fails its message, and the others go on', async () => {
    const until = createExpression<boolean>(({ msg }) => {
      if (msg === 6) throw new SluiceError('expression_failed', 'six')
      return true
    })
    expect(await run(lessOne, [5, 7, 9], { until })).toEqual({ gives: [4, 8], failures: [[7, 'six', 'tested']] })
  })
})

describe('without a condition', () => {
  test('a message that fails goes through again as it was, up to so many times', async () => {
    const seen: unknown[] = []
    const dataflow = dataflowOf((message, run) => {
      seen.push(message.msg)
      return run % 3 === 0 ? [message.with('done')] : refused
    })
    expect(await run(dataflow, [1, 2], { max: 3 })).toEqual({ gives: ['done', 'done'], failures: [] })
    expect(seen).toEqual([1, 1, 1, 2, 2, 2])
    expect(await run(dataflow, [3], { max: 2 })).toEqual({ gives: [], failures: [[3, 'refused', 'inner']] })
  })

  test('one chance in an onError: one that it has had inside has used that of the message', async () => {
    const info = { message: 'first', code: 'step_failed', step: 'x', retryable: false }
    const dataflow: Dataflow = {
      run(batch, failures) {
        failures.add(batch.messages[0]!.withError(info), refused, 'inner')
        return Batch.of([])
      },
    }
    const step = await repeat.create({ dataflow, max: 1, pause: 0 }, createTestContext())
    const { failures } = await runStep(step, createMessages([1]))
    expect(failures[0]!.message.error).toEqual(info)
  })
})

test('what the dataflow drops has ended', async () => {
  const dropping = dataflowOf(() => [])
  expect(await run(dropping, [1], { until: isZero })).toEqual({ gives: [], failures: [] })
  expect(await run(dropping, [1])).toEqual({ gives: [], failures: [] })
})

test('several messages made of one are a failure that says so', async () => {
  const dataflow = dataflowOf((message) => [message.asPart(0), message.asPart(1)])
  const text = 'repeat: its dataflow has made 2 messages of one'
  expect(await run(dataflow, [1], { until: isZero })).toEqual({ gives: [], failures: [[1, text, 'tested']] })
})

test('the pause lies between two times, and nowhere else', async () => {
  const clock = createTestClock()
  await run(lessOne, [3], { until: isZero, pause: 200 }, clock)
  expect(clock.elapsed()).toBe(400)
  const failing = dataflowOf(() => refused)
  await run(failing, [3], { max: 4, pause: 100 }, clock)
  expect(clock.elapsed()).toBe(700)
})

test('nothing begins again when nobody waits for the message any more', async () => {
  const over = new AbortController()
  let runs = 0
  const dataflow = dataflowOf((message) => {
    if (++runs === 2) over.abort()
    return [message]
  })
  const step = await repeat.create({ dataflow, until: isZero, max: 10, pause: 0 }, createTestContext())
  const failed: unknown[] = []
  const failures = { signal: over.signal, add: ({ msg }: Message) => void failed.push(msg) }
  expect((await step.runBatch!(Batch.of(createMessages([1, 2])), failures)).messages).toEqual([])
  expect(failed).toEqual([1])
  expect(runs).toBe(2)
})
