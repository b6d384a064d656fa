import { describe, expect, it } from 'vitest'
import { oneByOne } from '../config/one-by-one.ts'
import { Batch } from '../contracts/batch.ts'
import type { Dataflow, Failures } from '../contracts/dataflow.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { DataflowHooks } from '../contracts/failure.ts'
import type { Message } from '../contracts/message.ts'
import type { Step } from '../contracts/step.ts'
import { createExpression } from '../testing/expressions.ts'
import { createBatch } from '../testing/part-context.ts'
import { createDataflow, type StageSpec } from './dataflow.ts'
import { FailureList, settleFailures } from './stages.ts'

/** Hooks that remember what they were told. */
function createHooks() {
  const told: string[] = []
  const hooks: DataflowHooks = {
    dropped: (count) => void told.push(`dropped ${count}`),
    handled: (message, error, step) => void told.push(`${message.msg} ${error.code} ${step}`),
  }
  return { told, hooks }
}

const pass: Step = { run: (message) => message }

function each(change: (msg: unknown) => unknown): Step {
  return { run: (message) => message.with(change(message.msg)) }
}

async function run(specs: readonly StageSpec[], values: readonly unknown[], hooks = createHooks().hooks) {
  const failures = new FailureList()
  const passed = await createDataflow(specs, hooks).run(createBatch(values), failures)
  return {
    passed: valuesOf(passed),
    failed: failures.entries.map(({ message, error, step }) => [message.msg, error.code, step]),
  }
}

function valuesOf(batch: Batch): unknown[] {
  return batch.messages.map(({ msg }) => msg)
}

describe('a dataflow', () => {
  it('gives at once when no step waits, and the same batch when nothing changed', () => {
    const batch = createBatch(['a', 'b'])
    const result = createDataflow([{ id: 's', step: pass }], createHooks().hooks).run(batch, new FailureList())
    expect(result).toBe(batch)
  })

  it('leaves out what fails, in the middle of what waits, and keeps the order', async () => {
    const moody: Step = {
      run(message) {
        if (message.msg === 2) throw new Error('no')
        if (message.msg === 3) return Promise.reject(new SluiceError('script_failed', 'later no'))
        return message.msg === 1 ? Promise.resolve(message) : message
      },
    }
    expect(await run([{ id: 's', step: moody }], [1, 2, 3, 4])).toEqual({
      passed: [1, 4],
      failed: [
        [2, 'step_failed', 's'],
        [3, 'script_failed', 's'],
      ],
    })
  })

  it('fails only the message for which a step gives nonsense', async () => {
    const nonsense: Step = { run: (message) => (message.msg === 2 ? (5 as never) : message) }
    const { passed, failed } = await run([{ id: 's', step: nonsense }], [1, 2, 3])
    expect(passed).toEqual([1, 3])
    expect(failed).toEqual([[2, 'step_failed', 's']])
  })

  it('fails a whole batch when the batch step or the sink throws, with the code of each', async () => {
    const thrower = () => {
      throw new Error('no')
    }
    const reject = () => Promise.reject(new Error('no'))
    const close = () => undefined
    expect((await run([{ id: 's', step: { runBatch: thrower } }], [1, 2])).failed).toEqual([
      [1, 'step_failed', 's'],
      [2, 'step_failed', 's'],
    ])
    expect((await run([{ id: 's', step: { runBatch: reject } }], [1])).failed).toEqual([[1, 'step_failed', 's']])
    expect((await run([{ id: 's', sink: { write: thrower, close } }], [1])).failed).toEqual([[1, 'sink_failed', 's']])
    expect((await run([{ id: 's', sink: { write: reject, close } }], [1])).failed).toEqual([[1, 'sink_failed', 's']])
  })

  it('counts what is dropped and takes it through else, where it ends', async () => {
    const { told, hooks } = createHooks()
    const seen: unknown[] = []
    const otherwise = createDataflow([{ id: 'else', step: each((msg) => void seen.push(msg)) }], hooks)
    const even: Step = { run: (message) => ((message.msg as number) % 2 === 0 ? message : undefined) }
    expect((await run([{ id: 'even', step: even, otherwise }], [1, 2, 3], hooks)).passed).toEqual([2])
    expect(seen).toEqual([1, 3])
    expect(told).toEqual(['dropped 2'])
  })

  it('merges those that pass a step by with those that went through, in their order', async () => {
    const twice: Step = { run: (message) => [message.with(`${message.msg}1`), message.with(`${message.msg}2`)] }
    const condition = createExpression((message) => message.msg !== 'b')
    expect((await run([{ id: 's', step: twice, condition }], ['a', 'b', 'c'])).passed).toEqual([
      'a1',
      'a2',
      'b',
      'c1',
      'c2',
    ])
    const broken = createExpression(() => {
      throw new SluiceError('expression_failed', 'no')
    })
    expect((await run([{ id: 's', step: twice, condition: broken }], ['a'])).failed).toEqual([
      ['a', 'expression_failed', 's'],
    ])
  })
})

describe('a timeout', () => {
  it('fails the batch and ignores whatever comes later', async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    let late: Promise<unknown> = Promise.resolve()
    const slow: Step = {
      runBatch(batch: Batch, failures: Failures) {
        late = released.then(() => failures.add(batch.messages[0]!, new SluiceError('step_failed', 'late')))
        return late.then(() => batch)
      },
    }
    const failures = new FailureList()
    const dataflow = createDataflow([{ id: 's', step: slow, timeout: 5 }], createHooks().hooks)
    expect(valuesOf(await dataflow.run(createBatch([1, 2]), failures))).toEqual([])
    release()
    await late
    expect(failures.entries.map(({ message, error }) => [message.msg, error.code])).toEqual([
      [1, 'step_timeout'],
      [2, 'step_timeout'],
    ])
  })

  it('begins with no other message when it is over, and takes none past a step', async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    const begun: unknown[] = []
    const behind: unknown[] = []
    const slow: Step = {
      async run(message) {
        begun.push(message.msg)
        await released
        return undefined
      },
    }
    const { hooks } = createHooks()
    const stages = [
      { id: 'slow', step: slow },
      { id: 'behind', step: each((msg) => behind.push(msg)) },
    ]
    const inner = createDataflow(stages, hooks)
    let ended: Promise<Batch> | Batch | undefined
    const nested: Step = {
      runBatch(batch, failures) {
        ended = inner.run(batch, failures)
        return ended
      },
    }
    const { failed } = await run([{ id: 'nested', step: nested, timeout: 5 }], [1, 2])
    release()
    await ended
    expect(failed.map(([msg, code]) => [msg, code])).toEqual([
      [1, 'step_timeout'],
      [2, 'step_timeout'],
    ])
    expect({ begun, behind }).toEqual({ begun: [1], behind: [] })
  })

  it('leaves alone what ends in time', async () => {
    const quick: Step = { run: (message) => Promise.resolve(message) }
    expect(await run([{ id: 's', step: quick, timeout: 10_000 }], [1])).toEqual({ passed: [1], failed: [] })
  })
})

describe('onError', () => {
  const fails: Step = {
    run() {
      throw new Error('first')
    },
  }

  it('of a step takes the failed message, with the error, and it ends there', async () => {
    const { told, hooks } = createHooks()
    const seen: Message[] = []
    const onError = createDataflow([{ id: 'e', step: { run: (message) => void seen.push(message) } }], hooks)
    expect(await run([{ id: 's', step: fails, onError }], [7], hooks)).toEqual({ passed: [], failed: [] })
    expect(seen.map(({ msg, error }) => [msg, error])).toEqual([
      [7, { message: 'first', code: 'step_failed', step: 's', retryable: false }],
    ])
    expect(told).toEqual(['7 step_failed s', 'dropped 1'])
  })

  it('that fails itself, also within another, gives the message up once', async () => {
    const { hooks } = createHooks()
    const inner = createDataflow([{ id: 'inner', step: fails }], hooks)
    const outer = createDataflow([{ id: 'outer', step: fails, onError: inner }], hooks)
    const held: Step = {
      runBatch: (batch, failures) =>
        createDataflow([{ id: 's', step: fails, onError: outer }], hooks).run(batch, failures),
    }
    const { failed } = await run([{ id: 'held', step: held, onError: inner }], [7], hooks)
    expect(failed).toEqual([[7, 'step_failed', 'outer']])
  })

  it('of an endpoint takes what failed for the first time; the rest is buried, and so is all when it breaks', async () => {
    const { hooks } = createHooks()
    const [a, b] = createBatch(['a', 'b']).messages
    const error = new SluiceError('step_failed', 'no')
    const again = b!.withError({ message: 'no', code: 'step_failed', step: 's', retryable: false })
    const buried: string[] = []
    const bury = async ({ message, step }: { message: Message; step: string }) =>
      void buried.push(`${message.msg} ${step}`)
    const failed = [
      { message: a!, error, step: 's' },
      { message: again, error, step: 'e' },
    ]
    await settleFailures(failed, createDataflow([{ id: 'e', step: pass }], hooks), hooks, bury)
    expect(buried).toEqual(['b e'])
    const broken: Dataflow = {
      run() {
        throw new Error('broken')
      },
    }
    await settleFailures(failed.slice(0, 1), broken, hooks, bury)
    expect(buried).toEqual(['b e', 'a s'])
  })
})

describe('oneByOne', () => {
  it('takes each message through all steps before the next, waiting or not', async () => {
    const order: string[] = []
    const note = (name: string, waits: boolean): Step => ({
      run(message) {
        order.push(`${name}${message.msg}`)
        return waits && message.msg === 2 ? Promise.resolve(message) : message
      },
    })
    const specs = [
      { id: 'a', step: note('a', false) },
      { id: 'b', step: note('b', true) },
    ]
    const dataflow = oneByOne(createDataflow(specs, createHooks().hooks))
    expect(valuesOf(await dataflow.run(createBatch([1, 2, 3]), new FailureList()))).toEqual([1, 2, 3])
    expect(order).toEqual(['a1', 'b1', 'a2', 'b2', 'a3', 'b3'])
  })
})

describe('a step around what is behind it', () => {
  it('is given the rest of the dataflow, and learns what came of it', async () => {
    const seen: unknown[] = []
    const around: Step = {
      async runAround(batch, rest, failures) {
        const passed = await rest.run(batch, {
          add(message, error, step) {
            seen.push([message.msg, step])
            failures.add(message, error, step)
          },
        })
        seen.push(valuesOf(passed))
        return passed
      },
    }
    const failing = each((msg) => {
      if (msg === 2) throw new SluiceError('step_failed', 'no')
      return Number(msg) * 10
    })
    const specs = [
      { id: 'before', step: each((msg) => Number(msg) + 1) },
      { id: 'around', step: around },
      { id: 'failing', step: failing },
    ]
    expect(await run(specs, [0, 1, 2])).toEqual({ passed: [10, 30], failed: [[2, 'step_failed', 'failing']] })
    expect(seen).toEqual([
      [2, 'failing'],
      [10, 30],
    ])
  })

  it('may let messages end before the rest, and fails them when it throws', async () => {
    const { told, hooks } = createHooks()
    const specs = (around: NonNullable<Step['runAround']>) => [
      { id: 'around', step: { runAround: around } },
      { id: 'log', step: each((msg) => told.push(String(msg))) },
    ]
    const ending = specs((batch, _rest, failures) => {
      for (const message of batch.messages) failures.drop?.(message)
      return createBatch([])
    })
    expect(await run(ending, [1, 2], hooks)).toEqual({ passed: [], failed: [] })
    const throwing = specs(() => {
      throw new Error('no')
    })
    expect(await run(throwing, [1], hooks)).toEqual({ passed: [], failed: [[1, 'step_failed', 'around']] })
    expect(told).toEqual(['dropped 2'])
  })

  it('is told through the source of its messages what an onError took', async () => {
    const failed: number[] = []
    const around: Step = {
      runAround: (batch, rest, failures) =>
        rest.run(
          Batch.of(
            batch.messages.map((message) =>
              message.from({ ...message.source, failed: (sequence) => void failed.push(sequence) }),
            ),
          ),
          failures,
        ),
    }
    const failing = each(() => {
      throw new SluiceError('step_failed', 'no')
    })
    const onError = createDataflow([], createHooks().hooks)
    const specs = [
      { id: 'around', step: around },
      { id: 'failing', step: failing, onError },
    ]
    expect(await run(specs, ['a'])).toEqual({ passed: [], failed: [] })
    expect(failed).toEqual([1])
  })
})

describe('what may not be lost', () => {
  const parts = (message: Message) => [1, 2, 3].map((part) => message.with(part))

  it('fails the other parts of a message too when one has failed and the step then takes too long', async () => {
    const slow: Step = {
      run(message) {
        if (message.msg === 1) throw new Error('no')
        return new Promise(() => {})
      },
    }
    const { passed, failed } = await run(
      [
        { id: 'split', step: { run: parts } },
        { id: 'slow', step: slow, timeout: 20 },
      ],
      ['a'],
    )
    expect(passed).toEqual([])
    expect(failed.map(([msg]) => msg)).toEqual([1, 2, 3])
  })

  it('fails the other parts of a message too when a batch step has failed one and then throws', async () => {
    const breaking: Step = {
      runBatch(batch, failures) {
        failures.add(batch.messages[0]!, new SluiceError('step_failed', 'no'))
        throw new Error('broken')
      },
    }
    const { failed } = await run(
      [
        { id: 'split', step: { run: parts } },
        { id: 'breaking', step: breaking },
      ],
      ['a'],
    )
    expect(failed.map(([msg]) => msg)).toEqual([1, 2, 3])
  })

  it('fails a message once, however often its step says so', async () => {
    const chatty: Step = {
      runBatch(batch, failures) {
        for (let i = 0; i < 2; i++) failures.add(batch.messages[0]!, new SluiceError('step_failed', 'no'))
        throw new Error('broken')
      },
    }
    const { failed } = await run([{ id: 'chatty', step: chatty }], ['a'])
    expect(failed).toHaveLength(1)
  })
})
