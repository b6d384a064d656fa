import assert from 'node:assert/strict'
import { types } from 'node:util'
import type { StepDefinition, StepExample } from '../contracts/define.ts'
import type { SluiceError } from '../contracts/errors.ts'
import type { Check } from './check.ts'
import { definitionSuite, readOptions } from './definition-suite.ts'

/** An example, and how its messages arrive. */
export interface ExampleRun extends StepExample {
  /** In one read, so that they are one batch. Default: in a read each. */
  readonly atOnce?: boolean
  /** With the values in `given` themselves, also those that no JSON can say. Default: the values are read from JSON. */
  readonly verbatim?: boolean
}

/** What came of an example. */
export interface ExampleOutcome {
  /** The values that go on, in order. */
  readonly gives: readonly unknown[]
  /** The texts of the answers, without framing, in order. */
  readonly replies: readonly string[]
  /** The messages that failed for good: where they stand in `given`, from 0, and why. */
  readonly failures: readonly { readonly at: number; readonly error: SluiceError }[]
}

export interface StepSuiteOptions {
  /**
   * Runs an example in a real server: `runExample` of this folder. The values in `given` are frozen.
   * @throws Error what the configuration of the example is refused for, say
   */
  runExample(example: ExampleRun): Promise<ExampleOutcome>
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
    ...examples.map((example) => ({
      name: `a batch is worth its messages one by one: ${example.title}`,
      async run() {
        // A connection that the example closes reads nothing more.
        const rounds = findOptions('close', example).length > 0 ? 1 : 3
        const given = Array.from({ length: rounds }, () => example.given).flat()
        const inOne = await runExample({ ...example, given, atOnce: true })
        const oneByOne = await runExample({ ...example, given })
        assert.deepEqual(inOne.gives, oneByOne.gives, 'what goes on')
        assert.deepEqual(inOne.replies, oneByOne.replies, 'what is answered')
        assert.deepEqual(placesOf(inOne), placesOf(oneByOne), 'what fails')
      },
    })),
    ...examples.map((example) => ({
      name: `a value that the step cannot use fails alone: ${example.title}`,
      async run() {
        const run = { ...example, atOnce: true, verbatim: true }
        const fit = deepFreeze(structuredClone(example.given))
        const first = fit.length
        const usual = placesOf(await runExample({ ...run, given: [...fit, ...fit] }))
        const outcome = await runExample({ ...run, given: [...fit, ...UNFIT, ...fit] })
        const isUnfit = (at: number) => at >= first && at < first + UNFIT.length
        const others = placesOf(outcome).filter((at) => !isUnfit(at))
        const expected = usual.map((at) => (at < first ? at : at + UNFIT.length))
        // What a message waits for may stand behind the others.
        if (definition.waits !== true) assert.deepEqual(others, expected, 'other messages fail too')
        for (const { error } of outcome.failures) {
          const { cause } = error
          assert.ok(cause === undefined || types.isNativeError(cause), `${String(cause)} was thrown, which is no Error`)
        }
      },
    })),
  ]
}

/** Values that hardly any step is made for. They are frozen, and the last one has no prototype. */
const UNFIT: readonly unknown[] = [
  undefined,
  Symbol('unfit'),
  Object.freeze(Object.assign(Object.create(null), { odd: 1n, [Symbol('unfit')]: NaN })),
]

function placesOf({ failures }: ExampleOutcome): number[] {
  return failures.map(({ at }) => at).sort((a, b) => a - b)
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
