/**
 * Every check of the project, in the order in which a mistake is cheapest to find: format and lint, types, build, tests.
 * Ends with one line `N passed, N failed`.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installClients } from './debian-clients.ts'

interface Count {
  passed: number
  failed: number
}

const total: Count = { passed: 0, failed: 0 }

check('format and lint', ['node_modules/@biomejs/biome/bin/biome', 'ci', '--error-on-warnings', '.'])
check('types', ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'])
rmSync('dist', { recursive: true, force: true })
check('build', ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'])
installClients()
runTests(process.argv.slice(2))

console.log(`${total.passed} passed, ${total.failed} failed`)
process.exitCode = total.failed === 0 ? 0 : 1

function check(name: string, args: string[]): void {
  console.log(`\n── ${name}`)
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' })
  if (status === 0) total.passed++
  else total.failed++
}

function runTests(filters: string[]): void {
  console.log('\n── tests')
  const folder = mkdtempSync(join(tmpdir(), 'sluice-check-'))
  const report = join(folder, 'report.json')
  const { status } = spawnSync(
    process.execPath,
    [
      'node_modules/vitest/vitest.mjs',
      'run',
      '--reporter=dot',
      '--reporter=json',
      `--outputFile.json=${report}`,
      ...filters,
    ],
    { stdio: 'inherit' },
  )
  const { passed, failed } = countTests(report)
  total.passed += passed
  // Whatever else ends the run badly, such as an error outside of any test, must not pass for a success.
  total.failed += status === 0 ? failed : Math.max(failed, 1)
  rmSync(folder, { recursive: true })
}

/** Counts tests; a file that failed without a failed test, such as one that cannot be loaded, counts as one. */
function countTests(file: string): Count {
  if (!existsSync(file)) return { passed: 0, failed: 1 }
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report
  const broken = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  )
  return { passed: report.numPassedTests, failed: report.numFailedTests + broken.length }
}

/** What is used of the JSON report of vitest. */
interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly testResults: readonly {
    readonly status: string
    readonly assertionResults: readonly { readonly status: string }[]
  }[]
}
