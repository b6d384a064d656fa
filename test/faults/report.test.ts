import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ownScenarios, scenarios } from './catalogue.ts'
import { columns, reliabilityPage, type Soak } from './report.ts'

const committed = readFileSync(join(import.meta.dirname, '../../docs/reference/reliability.md'), 'utf8')

const soak = (scenario: string, more: object): Soak => ({
  date: '2026-01-02T03:04:05.678Z',
  seed: 7,
  commit: '0123456789',
  node: 'v26.0.0',
  sqlite: '3.1',
  kernel: '6.1',
  cores: 2,
  runs: [{ scenario, setup: 'buffer', rounds: 3, seconds: 1, ...more }],
})

const result = {
  comparison: {
    sent: 6000,
    acknowledged: 5000,
    found: 5500,
    missing: 0,
    missingIds: [],
    duplicates: 12,
    orderViolations: 0,
    foreign: 0,
    foreignLines: [],
    unacknowledged: 500,
  },
  answersPerSecond: 1,
  p50Ms: 1,
  p99Ms: 1,
  notes: { 'slowest start in ms': 1234, 'starts killed': 2 },
  faults: [],
}

describe('docs/reference/reliability.md', () => {
  it('has the form that the harness gives it, and names every scenario', () => {
    expect(committed).toContain(`| ${columns.join(' | ')} |`)
    expect(committed).toMatch(/Node\.js v\d+.*SQLite \d.*Linux \d/)
    for (const { name } of [...scenarios, ...ownScenarios])
      expect(committed).toMatch(new RegExp(`^\\| \`${name}\` \\|`, 'm'))
  })
})

describe('the page of the harness', () => {
  it('has a row for each run, and says what was not run', () => {
    const page = reliabilityPage([soak('kill', { result })])
    expect(page).toContain('| `kill` | buffer | 3 × | 5,000 | 0 | 12 (3,072) | 0 | 1,234 ms | 2026-01-02, 7 |')
    expect(page).toContain('| `power-loss` |  | not run yet |')
    expect(page).toContain('starts killed 2')
    expect(page).toContain('Nothing was wrong')
  })

  it('takes the later of two runs, and tells what was wrong', () => {
    const wrong = { ...result, faults: ['round 2: 1 acknowledged messages are missing'] }
    const page = reliabilityPage([
      soak('kill', { result }),
      soak('kill', { result: wrong }),
      soak('drain', { error: 'it hangs' }),
    ])
    expect(page.match(/^\| `kill`/gm)).toHaveLength(1)
    expect(page).toContain('- `kill`: round 2: 1 acknowledged messages are missing')
    expect(page).toContain('- `drain`: it hangs')
    expect(page).not.toContain('Nothing was wrong')
  })
})
