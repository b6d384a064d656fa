import assert from 'node:assert/strict'
import type { StepDefinition, StepExample } from '../contracts/define.ts'
import type { Check } from './check.ts'
import { definitionSuite, readOptions } from './definition-suite.ts'

/** What came of an example. */
export interface ExampleOutcome {
  /** The values that go on, in order. */
  readonly gives: readonly unknown[]
  /** The texts of the answers, without framing, in order. */
  readonly replies: readonly string[]
}

export interface StepSuiteOptions {
  /**
   * Runs an example in a real server: `runExample` of this folder. The values in `given` are frozen.
   * @throws Error what the configuration of the example is refused for, say
   */
  runExample(example: StepExample): Promise<ExampleOutcome>
}

/** The checks that every step passes. They need no test runner. */
export function stepSuite(definition: StepDefinition, { runExample }: StepSuiteOptions): Check[] {
  const { name, examples } = definition
  return [
    ...definitionSuite(definition),
    {
      name: 'there is at least one example',
      run: () => assert.ok(examples.length > 0),
    },
    ...examples.map((example) => ({
      name: `example: the options are valid: ${example.title}`,
      run() {
        const uses = findOptions(name, example)
        assert.ok(uses.length > 0, `the example does not use ${name}`)
        for (const options of uses) readOptions(definition, options)
      },
    })),
    ...examples.map((example) => ({
      name: `example: ${example.title}`,
      async run() {
        const before = structuredClone(example.given)
        const { gives, replies } = await runExample({ ...example, given: deepFreeze(structuredClone(example.given)) })
        assert.deepEqual(gives, example.gives, 'what goes on')
        assert.deepEqual(replies, example.replies ?? [], 'what is answered')
        assert.deepEqual(example.given, before, 'the values were changed')
      },
    })),
  ]
}

/** Freezes a value and everything in it; bytes cannot be frozen and stay as they are. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const item of Object.values(value)) deepFreeze(item)
  return value
}

/** The options of every step of this name in an example, however deep it stands. */
function findOptions(name: string, { config, dataflows = {} }: StepExample): unknown[] {
  const found: unknown[] = []
  const look = (value: unknown) => {
    if (typeof value !== 'object' || value === null) return
    for (const [key, item] of Object.entries(value)) {
      if (key === name) found.push(item)
      look(item)
    }
  }
  look([config, ...Object.values(dataflows)])
  return found
}
