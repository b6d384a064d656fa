import { expect, test } from 'vitest'
import { Batch } from '../contracts/batch.ts'
import { createMessages, createTestContext } from '../testing/part-context.ts'
import { dataflow } from './dataflow.ts'

test('runs the dataflow in place, with the failures of the one around it', async () => {
  const calls: unknown[] = []
  const result = Batch.of([])
  const step = await dataflow.create(
    {
      run(batch, failures) {
        calls.push(batch, failures)
        return result
      },
    },
    createTestContext(),
  )
  const batch = Batch.of(createMessages([1]))
  const failures = { add() {} }
  expect(step.runBatch!(batch, failures)).toBe(result)
  expect(calls).toEqual([batch, failures])
})

test('takes a name or steps', () => {
  expect(dataflow.options.safeParse('clean').success).toBe(true)
  expect(dataflow.options.safeParse([{ filter: 'msg' }]).success).toBe(true)
  expect(dataflow.options.safeParse(7).success).toBe(false)
})
