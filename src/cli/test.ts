import { existsSync, readdirSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
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
      'configuration, a folder of them, or a file of cases (default: sluice.yaml, else sluice.config.ts, .mts, .js or .mjs)',
    )
    .addHelpText(
      'after',
      '\nThe cases of sluice.yaml stand in sluice.test.yaml. Each begins with the bytes that a client sends and is repeated\nwith the bytes cut elsewhere. Sinks are stood in for, so nothing is delivered.\n',
    )
    .action(runFile)
}

async function runFile(named: string | undefined): Promise<void> {
  const file = chooseFile(named)
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory() === true) return runFolder(file)
  const namesCases = /\.test\.ya?ml$/.test(file)
  const caseFile = namesCases ? file : file.replace(/\.(ya?ml|[cm]?[jt]s)$/, '.test.yaml')
  if (!existsSync(caseFile)) {
    const where = existsSync(file)
      ? `${caseFile} does not exist; the cases of ${file} belong there`
      : `${file} does not exist`
    return fail(where)
  }
  await runCases([caseFile], namesCases ? caseFile.replace(/\.test\./, '.') : file)
}

/** All files of cases in a folder, each against the configuration that the folder is. */
async function runFolder(folder: string): Promise<void> {
  const names = readdirSync(folder)
    .filter((name) => /\.test\.ya?ml$/.test(name))
    .sort()
  if (names.length === 0) return fail(`${folder} has no file that ends in .test.yaml; the cases belong there`)
  await runCases(
    names.map((name) => join(folder, name)),
    folder,
  )
}

/** @param tested the configuration of cases that name no other */
async function runCases(caseFiles: readonly string[], tested: string): Promise<void> {
  const [{ readCases }, { runCase }] = await Promise.all([
    import('../testing/read-cases.ts'),
    import('../testing/run-case.ts'),
  ])
  let passed = 0
  let failed = 0
  for (const caseFile of caseFiles) {
    const { tests, config, report } = await readCases(caseFile)
    if (tests === undefined) return fail(report)
    const plan = await planFile(config ? resolve(dirname(caseFile), config) : tested)
    if (plan === undefined) return
    for (const test of tests) {
      const problem = await runCase(plan, test).then(() => undefined, messageOf)
      if (problem === undefined) passed++
      else failed++
      printResult(test, problem)
    }
  }
  print(`${passed} passed, ${failed} failed`)
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
