/**
 * `sluice/testing`: the suites that every part of Sluice passes, for parts of your own.
 *
 * A suite is a list of checks; a check throws when it fails. Any test runner will do:
 * `for (const { name, run } of framingSuite(myFraming)) test(name, run)`.
 */
export type { DataflowCase } from './case-schema.ts'
export type { Check } from './check.ts'
export { definitionSuite } from './definition-suite.ts'
export { type FormatSuiteOptions, formatSuite } from './format-suite.ts'
export { decodeAll } from './framing-run.ts'
export { type FramingSuiteOptions, framingSuite } from './framing-suite.ts'
export {
  createBatch,
  createFrames,
  createFramesBatch,
  createMessages,
  createTestClock,
  createTestContext,
  type MessageOptions,
  type TestClock,
  type TestContext,
  type TestSource,
  testSource,
} from './part-context.ts'
export { createRandom, type Random } from './random.ts'
export { type ReadCases, readCases } from './read-cases.ts'
export { runCase } from './run-case.ts'
export { runExample } from './run-example.ts'
export { type SinkSuiteOptions, sinkSuite } from './sink-suite.ts'
export { type ExampleOutcome, type ExampleRun, type StepSuiteOptions, stepSuite } from './step-suite.ts'
export {
  type SubscriptionSuiteOptions,
  type SubscriptionUnderTest,
  subscriptionSuite,
  Taker,
} from './subscription-suite.ts'
export { type TransportSubject, transportSuite } from './transport-suite.ts'
