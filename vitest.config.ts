import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    testTimeout: 20_000,
    hookTimeout: 20_000,
    pool: 'forks',
    // Scripts and configurations of users are loaded by Node itself, as they are outside of tests.
    server: { deps: { external: [/sluice-(script|source)-/] } },
  },
})
