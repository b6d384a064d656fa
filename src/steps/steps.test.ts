import { describe, test } from 'vitest'
import { steps } from '../registry/builtins.ts'
import { runExample } from '../testing/run-example.ts'
import { stepSuite } from '../testing/step-suite.ts'

describe.each(steps.map((definition) => ({ name: definition.name, definition })))('$name', ({ definition }) => {
  test.each(stepSuite(definition, { runExample }))('$name', ({ run }) => run())
})
