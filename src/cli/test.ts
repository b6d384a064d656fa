import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { Command } from 'commander'
import type { DataflowCase } from '../testing/case-schema.ts'
import { EXIT } from './exit.ts'
import { chooseFile, planFile } from './plan-file.ts'
import { paint, print, printError } from './terminal.ts'

export function testCommand(): Command {
  return new Command('test')
    .description('run dataflow tests: bytes in, and what must come of them')
    .argument(
      '[file]',
      'configuration, or a file of cases (default: sluice.yaml, else sluice.config.ts, .mts, .js or .mjs)',
    )
    .addHelpText(
      'after',
      '\nThe cases of sluice.yaml stand in sluice.test.yaml. Each begins with the bytes that a client sends and is repeated\nwith the bytes cut elsewhere. Sinks are stood in for, so nothing is delivered.\n',
    )
    .action(runFile)
}

async function runFile(named: string | undefined): Promise<void> {
  const file = chooseFile(named)
  const namesCases = /\.test\.ya?ml$/.test(file)
  const caseFile = namesCases ? file : file.replace(/\.(ya?ml|[cm]?[jt]s)$/, '.test.yaml')
  if (!existsSync(caseFile)) return fail(`${caseFile} does not exist; the cases of ${file} belong there`)
  const [{ readCases }, { runCase }] = await Promise.all([
    import('../testing/read-cases.ts'),
    import('../testing/run-case.ts'),
  ])
  const { tests, config, report } = await readCases(caseFile)
  if (tests === undefined) return fail(report)
  const tested = namesCases ? caseFile.replace(/\.test\./, '.') : file
  const plan = await planFile(config ? resolve(dirname(caseFile), config) : tested)
  if (plan === undefined) return
  let failed = 0
  for (const test of tests) {
    const problem = await runCase(plan, test).then(() => undefined, messageOf)
    if (problem !== undefined) failed++
    printResult(test, problem)
  }
  print(`${tests.length - failed} passed, ${failed} failed`)
  if (failed > 0) process.exitCode = EXIT.failed
}

function printResult({ name, endpoint }: DataflowCase, problem: string | undefined): void {
  print(`${problem === undefined ? paint('green', '✓') : paint('red', '✗')} ${endpoint}: ${name}`)
  if (problem !== undefined) print(`    ${problem}`)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function fail(sentence: string): void {
  printError(sentence)
  process.exitCode = EXIT.failed
}
