import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { defineStep } from '../contracts/define.ts'
import { createEvents } from '../contracts/events.ts'
import { z } from '../contracts/schema.ts'
import { createRegistry } from '../registry/builtins.ts'
import { createTestContext } from '../testing/part-context.ts'
import { build } from './build.ts'
import { DataFolder } from './data-folder.ts'
import { configOfValue } from './loaded.ts'
import { planConfig } from './plan.ts'

/** Plans dataflows with a step `probe` that tells what becomes of it, and builds them. */
function buildProbes(dataflow: unknown) {
  const calls: string[] = []
  const probe = defineStep({
    name: 'probe',
    summary: 'Tells what becomes of it.',
    options: z.strictObject({
      name: z.string(),
      fails: z.enum(['create', 'close']).optional(),
    }),
    examples: [],
    async create({ name, fails }) {
      calls.push(`create ${name}`)
      await turn()
      if (fails === 'create') throw new Error(`${name} cannot be created`)
      return {
        run: (message) => message,
        close() {
          calls.push(`close ${name}`)
          if (fails === 'close') throw new Error(`${name} cannot be closed`)
        },
      }
    },
  })
  const registry = createRegistry()
  registry.add(probe)
  const config = { listen: { test: { port: 0, dataflow } } }
  const { plan, problems } = planConfig(configOfValue(config, '/'), registry, {})
  expect(problems).toEqual([])
  return {
    calls,
    built: build(plan!, { ...createTestContext(), events: createEvents(() => undefined), data: new DataFolder('/') }),
  }
}

const probe = (name: string, fails?: 'create' | 'close') => ({ probe: { name, ...(fails && { fails }) } })

test('when a step in a branch cannot be created, nothing is left open', async () => {
  const branches = { a: [probe('a')], bad: [probe('bad', 'create')], c: [probe('c'), probe('d')] }
  const { calls, built } = buildProbes([probe('first'), { fork: { branches } }])
  await expect(built).rejects.toThrow(/bad cannot be created/)
  for (let i = 0; i < 5; i++) await turn()
  expect(calls).toEqual(['create first', 'create a', 'create bad', 'close a', 'close first'])
})

test('close closes everything, last created first, and then tells what went wrong', async () => {
  const { calls, built } = buildProbes([probe('a'), probe('b', 'close'), probe('c', 'close'), probe('d')])
  const error = await (await built).close().catch((thrown: unknown) => thrown)
  expect(calls.slice(4)).toEqual(['close d', 'close c', 'close b', 'close a'])
  expect(error).toBeInstanceOf(AggregateError)
  expect((error as AggregateError).errors.map(String)).toEqual([
    'Error: c cannot be closed',
    'Error: b cannot be closed',
  ])
  expect((error as AggregateError).message).toContain('c cannot be closed; b cannot be closed')
})

test('a build that fails says why, also when its cleanup fails', async () => {
  const { calls, built } = buildProbes([probe('a', 'close'), probe('b', 'create')])
  await expect(built).rejects.toThrow(/b cannot be created/)
  expect(calls).toEqual(['create a', 'create b', 'close a'])
})
