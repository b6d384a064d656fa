import { expect, test } from 'vitest'
import type { Batch } from '../contracts/batch.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Format } from '../contracts/format.ts'
import { createExpression, messageExpression } from '../testing/expressions.ts'
import {
  createFramesBatch,
  createMessages,
  createTestContext,
  type TestSource,
  testSource,
} from '../testing/part-context.ts'
import { runStepNow } from '../testing/run-step.ts'
import { reply } from './reply.ts'

const context = createTestContext()
const identity: Format = { ...context.codec.format, identity: true }

test('answers each message in its place and passes it on', async () => {
  const source = testSource()
  const messages = createMessages(['a', 'b'], { source })
  const text = createExpression(({ msg }) => `OK ${msg}`)
  const run = runStepNow(await reply.create({ text }, context), messages)
  expect(source.replies).toEqual([
    { sequence: 1, kind: 'text', content: 'OK a' },
    { sequence: 2, kind: 'text', content: 'OK b' },
  ])
  expect(run.messages).toEqual(messages)
})

test.each(['text', 'value', 'raw'] as const)('%s is given on as such', async (kind) => {
  const source = testSource()
  const bytes = createExpression(() => Buffer.from([6]))
  runStepNow(await reply.create({ [kind]: bytes }, context), createMessages(['a'], { source }))
  expect(source.replies).toEqual([{ sequence: 1, kind, content: Buffer.from([6]) }])
})

test('what cannot be answered fails alone', async () => {
  const source = testSource()
  source.reply = (sequence) => {
    if (sequence === 2) throw new SluiceError('frame_not_encodable', 'an LF')
  }
  const run = runStepNow(
    await reply.create({ text: messageExpression }, context),
    createMessages([1, 2, 3], { source }),
  )
  expect(run.gives).toEqual([1, 3])
  expect(run.failures).toMatchObject([{ message: { msg: 2 }, error: { code: 'frame_not_encodable' } }])
})

function echoing(accepts: boolean): TestSource & { echoed: Batch['frames'][] } {
  const echoed: Batch['frames'][] = []
  return Object.assign(testSource(), { echoed, echo: (frames: Batch['frames']) => accepts && echoed.push(frames) > 0 })
}

test('an untouched read is echoed without a look at its messages', async () => {
  const source = echoing(true)
  const unread: Format = {
    ...identity,
    parse() {
      throw new Error('nobody asked for values')
    },
  }
  const batch = createFramesBatch(['a', 'b'], unread, source)
  const step = await reply.create({ text: messageExpression }, context)
  expect(step.runBatch!(batch, { add() {} })).toBe(batch)
  expect(source.echoed).toEqual([batch.frames])
})

test('is answered one by one when the value is not the frame, or the source cannot echo', async () => {
  const text = await reply.create({ text: messageExpression }, context)
  const refusing = echoing(false)
  runStepNow(text, createFramesBatch(['a'], identity, refusing))
  const other = echoing(true)
  runStepNow(text, createFramesBatch(['a'], context.codec.format, other))
  const changed = echoing(true)
  const suffix = createExpression(({ msg }) => `${msg}!`)
  runStepNow(await reply.create({ text: suffix }, context), createFramesBatch(['a'], identity, changed))
  const value = echoing(true)
  runStepNow(await reply.create({ value: messageExpression }, context), createFramesBatch(['a'], identity, value))
  const touched = echoing(true)
  runStepNow(text, createMessages(['a'], { source: touched, format: identity }))
  const encoded = echoing(true)
  const codec = { ...context.codec, format: { ...identity, encodeText: (sent: string) => Buffer.from(sent, 'latin1') } }
  const latin1 = await reply.create({ text: messageExpression }, createTestContext({ codec }))
  runStepNow(latin1, createFramesBatch(['a'], identity, encoded))
  for (const source of [refusing, other, changed, value, touched, encoded]) {
    expect(source.echoed).toEqual([])
    expect(source.replies).toHaveLength(1)
  }
})

test('takes exactly one of text, value, raw and file', () => {
  const problem = (options: unknown) => reply.options.safeParse(options).error?.issues[0]?.message
  expect(problem({ text: 'OK' })).toBeUndefined()
  expect(problem({})).toBe('one of text, value, raw and file is needed')
  expect(problem({ text: 'a', raw: 'b' })).toBe('only one of text and raw')
  expect(problem({ txt: 'a' })).toContain('txt')
})
