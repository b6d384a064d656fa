import { expect, test } from 'vitest'
import { createMessages, createTestContext, testSource } from '../testing/part-context.ts'
import { runStepNow } from '../testing/run-step.ts'
import { close } from './close.ts'

test('closes the connection of the message, which goes on', async () => {
  const source = testSource()
  const messages = createMessages(['QUIT'], { source })
  expect(runStepNow(await close.create({}, createTestContext()), messages).messages).toEqual(messages)
  expect(source.closed).toBe(true)
})

test('is written with nothing, an empty mapping or true', () => {
  const accepted = [{}, null, true].map((options) => close.options.safeParse(options).success)
  expect(accepted).toEqual([true, true, true])
  for (const options of [false, 'now', { after: '1s' }]) expect(close.options.safeParse(options).success).toBe(false)
})
