import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    // Far more than any needs: a busy machine must not fail a test.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // Most tests wait for servers and files, not for a core.
    maxWorkers: Math.max(4, availableParallelism()),
    // Scripts and configurations of users are loaded by Node itself, as they are outside of tests.
    server: { deps: { external: [/sluice-(script|source)-/] } },
  },
})
