import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { createRegistry } from '../registry/builtins.ts'
import { planConfig } from './plan.ts'
import { formatProblems } from './problems.ts'
import { readYaml } from './yaml-source.ts'

const golden = (name: string) => fileURLToPath(new URL(`../../test/golden/${name}`, import.meta.url))

/** Rewrite the expected output with SLUICE_UPDATE_GOLDEN=1. */
test('ten mistakes give ten good messages in one run', () => {
  const text = readFileSync(golden('ten-mistakes.yaml'), 'utf8')
  const loaded = readYaml(text, 'ten-mistakes.yaml', '/etc/sluice')
  const { plan, problems } = planConfig(loaded, createRegistry(), {})
  const shown = formatProblems(problems)
  if (process.env['SLUICE_UPDATE_GOLDEN']) writeFileSync(golden('ten-mistakes.txt'), shown)
  expect(plan).toBeUndefined()
  expect(new Set(problems.map(({ code }) => code)).size).toBe(10)
  expect(problems).toHaveLength(10)
  expect(shown).toBe(readFileSync(golden('ten-mistakes.txt'), 'utf8'))
})
