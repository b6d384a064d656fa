/** What an integration engineer writes in the first month, each as one file, with the conversation that it is for. */
import { dirname } from 'node:path'
import { expect, it } from 'vitest'
import { readPlan } from '../../../src/config/read-plan.ts'
import { firstMonth } from './configurations.ts'

it.each(firstMonth)('$title: holds its conversation over real sockets', ({ hold }) => hold())

/** The others are examples, and looked at with those. */
const here = firstMonth.filter(({ file }) => dirname(file) === import.meta.dirname)

it.each(here)('$title: is without mistakes and warnings', async ({ file }) => {
  expect((await readPlan(file, {})).report).toBe('')
})
