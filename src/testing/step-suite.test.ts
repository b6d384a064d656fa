import { expect, test } from 'vitest'
import { Batch } from '../contracts/batch.ts'
import { defineStep, type StepDefinition } from '../contracts/define.ts'
import type { Message } from '../contracts/message.ts'
import { expr, z } from '../contracts/schema.ts'
import type { Step } from '../contracts/step.ts'
import { createRegistry } from '../registry/builtins.ts'
import { runExample } from './run-example.ts'
import { stepSuite } from './step-suite.ts'

const good = defineStep({
  name: 'wrap',
  summary: 'Puts the value under a key.',
  options: z.strictObject({ key: z.string().describe('The key.') }),
  short: 'key',
  examples: [{ title: 'Wrap', config: { wrap: 'a' }, given: [{ b: 1 }], gives: [{ a: { b: 1 } }] }],
  create: ({ key }) => ({ run: (message) => message.with({ [key]: message.msg }) }),
})

/** The names of the checks that fail. */
async function failing(definition: StepDefinition): Promise<string[]> {
  const registry = createRegistry().add(definition)
  const names: string[] = []
  for (const { name, run } of stepSuite(definition, { runExample: (example) => runExample(example, registry) })) {
    try {
      await run()
    } catch {
      names.push(name)
    }
  }
  return names
}

test('a good step passes', async () => {
  expect(await failing(good as StepDefinition)).toEqual([])
})

test('says which promise a step breaks', async () => {
  const broken = (change: Partial<StepDefinition>) => failing({ ...(good as StepDefinition), ...change })
  const example = good.examples[0]!
  expect(await broken({ examples: [] })).toEqual(['there is at least one example'])
  expect(await broken({ examples: [{ ...example, gives: [{ a: { b: 2 } }] }] })).toEqual(['example: Wrap'])
  expect(await broken({ examples: [{ ...example, replies: ['OK'] }] })).toEqual(['example: Wrap'])
  expect(await broken({ examples: [{ ...example, config: { wrap: { kee: 'a' } } }] })).toEqual([
    'example: the options are valid: Wrap',
    'example: Wrap',
    'a batch is worth its messages one by one: Wrap',
    'a value that the step cannot use fails alone: Wrap',
  ])
  expect(await broken({ examples: [{ ...example, config: { map: { a: 'msg' } } }] })).toEqual([
    'example: the options are valid: Wrap',
  ])
  const mutates: StepDefinition['create'] = () => ({
    run(message) {
      Object.assign(message.msg as object, { a: { b: 1 } })
      return message
    },
  })
  expect(await broken({ create: mutates })).toEqual(['example: Wrap'])
})

test('says when messages of a batch touch each other', async () => {
  const running = (step: Step) => failing({ ...(good as StepDefinition), create: () => step })
  const wrap = (message: Message) => message.with({ a: message.msg })
  const alone = 'a value that the step cannot use fails alone: Wrap'
  expect(
    await running({ runBatch: ({ messages }) => Batch.of(messages.length === 1 ? messages.map(wrap) : []) }),
  ).toEqual(['a batch is worth its messages one by one: Wrap'])
  const fails = (thrown: unknown) => (message: Message) => {
    if (typeof message.msg === 'symbol') throw thrown
    return wrap(message)
  }
  expect(await running({ run: fails(new Error('no')) })).toEqual([])
  expect(await running({ run: fails('no') })).toEqual([alone])
  expect(await running({ runBatch: ({ messages }) => Batch.of(messages.map(fails(new Error('no')))) })).toEqual([alone])
})

test('looks at options inside of options', async () => {
  const nested = (inner: z.ZodType) =>
    failing({ ...(good as StepDefinition), options: z.strictObject({ key: z.string().describe('The key.'), inner }) })
  const complaint = ['unknown options are refused, and every option is described']
  expect(
    await nested(
      z
        .array(z.strictObject({ a: expr() }))
        .default([])
        .describe('A list.'),
    ),
  ).toEqual(complaint)
  expect(
    await nested(
      z
        .object({ a: expr().describe('A.') })
        .optional()
        .describe('Loose.'),
    ),
  ).toEqual(complaint)
  expect(
    await nested(
      z
        .strictObject({ a: expr().describe('A.') })
        .optional()
        .describe('Fine.'),
    ),
  ).toEqual([])
})
