import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    testTimeout: 20_000,
    hookTimeout: 20_000,
    pool: 'forks',
    // Most tests wait for servers and files, not for a core.
    maxWorkers: Math.max(4, availableParallelism()),
    // Scripts and configurations of users are loaded by Node itself, as they are outside of tests.
    server: { deps: { external: [/sluice-(script|source)-/] } },
  },
})
