/**
 * Runs the tests of the parts and those that cross folders, and measures how much of the parts they have run. Fails when a
 * folder has less than what `vitest.config.ts` demands. It takes some minutes.
 */
import { spawnSync } from 'node:child_process'
import { installClients } from './debian-clients.ts'

installClients()
const tests = ['src/framings', 'src/formats', 'src/steps', 'src/sinks', 'test/integration']
// What is counted runs slower.
const flags = ['--coverage', '--reporter=dot', '--testTimeout=180000']
const { status } = spawnSync(
  process.execPath,
  ['node_modules/vitest/vitest.mjs', 'run', ...flags, ...tests, ...process.argv.slice(2)],
  { stdio: 'inherit' },
)
process.exitCode = status ?? 1
