import { expect, test } from 'vitest'
import { Batch } from '../contracts/batch.ts'
import { SluiceError } from '../contracts/errors.ts'
import { createExpression } from '../testing/expressions.ts'
import { createMessages, createTestContext } from '../testing/part-context.ts'
import { runStep } from '../testing/run-step.ts'
import { deadLetter } from './dead-letter.ts'

test('keeps the message under its own code and ends it', async () => {
  const context = createTestContext({ id: 'keeper' })
  const reason = createExpression(({ msg }) => `no weight in ${msg}`)
  const messages = createMessages(['a', 'b'])
  const run = await runStep(await deadLetter.create({ reason }, context), messages)
  expect([run.gives, run.failures]).toEqual([[], []])
  expect(context.dead).toMatchObject([
    { step: 'keeper', error: { code: 'kept_by_step', message: 'no weight in a' } },
    { step: 'keeper', error: { code: 'kept_by_step', message: 'no weight in b' } },
  ])
  expect(context.dead[0]!.message).toBe(messages[0])
})

test('in an onError it keeps the error that brought the message there', async () => {
  const context = createTestContext({ id: 'keeper' })
  const error = { message: 'disk full', code: 'sink_failed', step: 'rows', retryable: true }
  const messages = createMessages(['a']).map((message) => message.withError(error))
  await runStep(await deadLetter.create({}, context), messages)
  expect(context.dead).toMatchObject([
    { step: 'rows', error: { code: 'sink_failed', message: 'disk full', retryable: true } },
  ])
  const reason = createExpression(() => 'gave up')
  await runStep(await deadLetter.create({ reason }, context), messages)
  expect(context.dead[1]).toMatchObject({ step: 'rows', error: { code: 'sink_failed', message: 'gave up' } })
})

test('is finished when the message is on disk, and fails when it cannot be', async () => {
  const stored = Promise.withResolvers<number>()
  const deadLetters = {
    add: (message: { msg: unknown }) =>
      message.msg === 'bad' ? Promise.reject(new SluiceError('storage_failed', 'disk full')) : stored.promise,
  }
  const step = await deadLetter.create({}, createTestContext({ deadLetters }))
  const failed: unknown[] = []
  let ended = false
  const run = Promise.resolve(
    step.runBatch!(Batch.of(createMessages(['good', 'bad'])), {
      add: (message, error) => failed.push(message.msg, error.code),
    }),
  ).then(() => {
    ended = true
  })
  await new Promise(setImmediate)
  expect(ended).toBe(false)
  stored.resolve(1)
  await run
  expect(failed).toEqual(['bad', 'storage_failed'])
})
