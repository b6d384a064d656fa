import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/** The folders of the parts that everything is made of. */
const measured = ['src/framings', 'src/formats', 'src/steps', 'src/sinks']

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    // Far more than any needs: a busy machine must not fail a test.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 60_000 } },
    pool: 'forks',
    // Most tests wait for servers and files, not for a core.
    maxWorkers: Math.max(4, availableParallelism()),
    // Scripts and configurations of users are loaded by Node itself, as they are outside of tests.
    server: { deps: { external: [/sluice-(script|source)-/] } },
    // What `npm run coverage` measures; see scripts/coverage.ts.
    coverage: {
      provider: 'custom',
      customProviderModule: './scripts/coverage-module.ts',
      include: measured.map((folder) => `${folder}/**/*.ts`),
      // Scripts and the compiler of Kaitai run in threads and processes of their own.
      autoAttachSubprocess: true,
      reporter: ['text', 'json'],
      reportOnFailure: true,
      thresholds: Object.fromEntries(measured.map((folder) => [`${folder}/**`, { lines: 95, branches: 90 }])),
    },
  },
})
