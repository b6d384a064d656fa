import { expect, test } from 'vitest'
import { createExpression, messageExpression } from '../testing/expressions.ts'
import { createMessages, createTestContext } from '../testing/part-context.ts'
import { runStepNow } from '../testing/run-step.ts'
import { log } from './log.ts'

test('writes a line for each message and passes it on', async () => {
  const context = createTestContext()
  const messages = createMessages(['a', 'b'])
  const text = createExpression(({ msg }) => `got ${msg}`)
  expect(runStepNow(await log.create({ text, level: 'warn' }, context), messages).messages).toEqual(messages)
  expect(context.logs).toEqual([
    { level: 'warn', text: 'got a', message: messages[0] },
    { level: 'warn', text: 'got b', message: messages[1] },
  ])
})

test('shows bytes with escapes and objects as JSON', async () => {
  const context = createTestContext()
  const step = await log.create({ text: messageExpression, level: 'info' }, context)
  runStepNow(step, createMessages([Buffer.from([2, 65, 13]), { a: 1 }, null]))
  expect(context.logs.map(({ text }) => text)).toEqual(['\\x02A\\r', '{"a":1}', ''])
})

test('the level is info unless told otherwise', () => {
  expect(log.options.parse({ text: 'x' }).level).toBe('info')
  expect(log.options.safeParse({ text: 'x', level: 'loud' }).success).toBe(false)
})
