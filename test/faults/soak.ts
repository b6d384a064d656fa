// The long form of the fault scenarios: prints one table and writes all figures as JSON.
// npm run soak -- --report FILE… instead writes docs/reference/reliability.md from such JSON files. Else:
// npm run soak -- [--only kill,power-loss] [--setup sqlite] [--rounds 20] [--acknowledged 100000] [--seed 7] [--json FILE]
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, release } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { installClients } from '../../scripts/debian-clients.ts'
import { type AnyScenario, ownScenarios, scenarios } from './catalogue.ts'
import { type Run, reliabilityPage, type Soak } from './report.ts'
import type { OwnOptions, ScenarioResult } from './scenario.ts'
import { setups } from './setup.ts'

/** Faults shown in the table for each scenario; all of them are in the JSON. */
const SHOWN = 5

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string' },
    setup: { type: 'string' },
    rounds: { type: 'string' },
    acknowledged: { type: 'string' },
    report: { type: 'boolean', default: false },
    seed: { type: 'string' },
    json: { type: 'string', default: join(import.meta.dirname, '.results/soak.json') },
  },
})

const seed = options.seed === undefined ? Date.now() % 1_000_000 : count('seed', options.seed)
/** What was tested, and where. */
const about = {
  date: new Date().toISOString(),
  seed,
  commit: git('rev-parse', 'HEAD'),
  changed: git('status', '--porcelain') !== '',
  node: process.version,
  sqlite: process.versions.sqlite,
  kernel: release(),
  cores: availableParallelism(),
}
const runs: Run[] = []
if (options.report) report()
else await soak()

async function soak(): Promise<void> {
  const chosenSetups = choose('setup', setups, options.setup ?? 'sqlite')
  const chosenScenarios = choose('scenario', [...scenarios, ...ownScenarios], options.only)
  installClients()
  console.log(`seed ${seed}\n`)
  for (const setup of chosenSetups) {
    for (const scenario of scenarios.filter((one) => chosenScenarios.includes(one)))
      await runOne(scenario, setup.name, (extent) => scenario.run({ setup, ...extent }))
  }
  for (const scenario of ownScenarios.filter((one) => chosenScenarios.includes(one)))
    await runOne(scenario, scenario.setup, (extent) => scenario.run(extent))
  console.log(`\n${table()}\n\nwritten to ${resolve(options.json)}`)
  if (runs.some(({ error, result }) => error !== undefined || (result?.faults.length ?? 0) > 0)) process.exitCode = 1
}

/** Where two files have the same scenario with the same setup, the later one counts. */
function report(): void {
  if (positionals.length === 0) fail('--report needs the JSON files of runs')
  const soaks = positionals.map((file) => JSON.parse(readFileSync(file, 'utf8')) as Soak)
  const page = join(import.meta.dirname, '../../docs/reference/reliability.md')
  writeFileSync(page, reliabilityPage(soaks))
  console.log(`written to ${page}`)
}

async function runOne(
  scenario: AnyScenario,
  setup: string,
  start: (extent: OwnOptions) => Promise<ScenarioResult>,
): Promise<void> {
  const run = await resultOf(scenario, setup, start)
  runs.push(run)
  console.log(lineOf(run))
  write()
}

async function resultOf(
  scenario: AnyScenario,
  setup: string,
  start: (extent: OwnOptions) => Promise<ScenarioResult>,
): Promise<Run> {
  const rounds = count('rounds', options.rounds ?? String(scenario.long.rounds))
  const acknowledged = count('acknowledged', options.acknowledged ?? String(scenario.long.acknowledged))
  const about = { scenario: scenario.name, setup, rounds }
  const skipped = await scenario.obstacle()
  if (skipped !== undefined) return { ...about, rounds: 0, seconds: 0, skipped }
  const before = performance.now()
  const spent = () => Math.round((performance.now() - before) / 100) / 10
  try {
    const result = await start({ seed, rounds, acknowledged, measured: true })
    return { ...about, seconds: spent(), result }
  } catch (error) {
    return { ...about, seconds: spent(), error: (error as Error).message }
  }
}

function lineOf({ scenario, setup, skipped, result, error }: Run): string {
  const about = `${scenario} (${setup})`
  if (skipped !== undefined) return `- ${about} is skipped: ${skipped}`
  if (result === undefined) return `✗ ${about}: ${error}`
  const notes = Object.entries(result.notes).map(([words, value]) => `${words} ${value}`)
  const head = `${result.faults.length === 0 ? '✓' : '✗'} ${about}${notes.length === 0 ? '' : `: ${notes.join(', ')}`}`
  return [head, ...result.faults.slice(0, SHOWN).map((fault) => `    ${fault}`)].join('\n')
}

function table(): string {
  const head = [
    'scenario',
    'setup',
    'rounds',
    'acked',
    'missing',
    'double',
    'order',
    'answers/s',
    'p50 ms',
    'p99 ms',
    's',
  ]
  const rows = runs.flatMap(({ scenario, setup, rounds, seconds, result }) => {
    if (result === undefined) return []
    const { comparison, answersPerSecond, p50Ms, p99Ms } = result
    const { acknowledged, missing, duplicates, orderViolations } = comparison
    const figures = [
      rounds,
      acknowledged,
      missing,
      duplicates,
      orderViolations,
      answersPerSecond,
      p50Ms,
      p99Ms,
      seconds,
    ]
    return [[scenario, setup, ...figures.map(String)]]
  })
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => row[i]!.length)))
  const print = (row: readonly string[]) =>
    row.map((cell, i) => (i < 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  ')
  return [head, ...rows].map(print).join('\n')
}

/** After every scenario, so that what was found is not lost with the run. */
function write(): void {
  mkdirSync(dirname(options.json), { recursive: true })
  writeFileSync(options.json, `${JSON.stringify({ ...about, runs }, undefined, 2)}\n`)
}

/** @returns undefined outside of a repository */
function git(...args: string[]): string | undefined {
  const { status, stdout } = spawnSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' })
  return status === 0 ? stdout.trim() : undefined
}

function choose<T extends { readonly name: string }>(kind: string, all: readonly T[], names: string | undefined): T[] {
  if (names === undefined) return [...all]
  return names.split(',').map((name) => {
    const found = all.find((one) => one.name === name)
    if (found === undefined) fail(`there is no ${kind} "${name}"; there are ${all.map((one) => one.name).join(', ')}`)
    return found
  })
}

function count(name: string, text: string): number {
  const number = Number(text)
  if (!Number.isSafeInteger(number) || number < 1) fail(`--${name} needs a whole number from 1; this is ${text}`)
  return number
}

function fail(sentence: string): never {
  process.stderr.write(`${sentence}\n`)
  process.exit(2)
}
