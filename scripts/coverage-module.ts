/** The coverage provider of `vitest.config.ts`, as Vitest loads it: in its own process, and in each that runs tests. */
import v8 from '@vitest/coverage-v8'

export default {
  ...v8,
  // What runs tests need not load what makes the report.
  getProvider: async () => new (await import('./coverage-provider.ts')).PartsCoverage(),
}
