import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { importPackage } from './packages.ts'

it('loads a package beside the configuration that has an entry for import alone', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-packages-'))
  const home = join(folder, 'node_modules', 'sluice-only-import')
  mkdirSync(home, { recursive: true })
  const about = { name: 'sluice-only-import', type: 'module', exports: { '.': { import: './index.js' } } }
  writeFileSync(join(home, 'package.json'), JSON.stringify(about))
  writeFileSync(join(home, 'index.js'), 'export const word = "here"')
  await expect(importPackage('sluice-only-import', folder)).resolves.toMatchObject({ word: 'here' })
  rmSync(folder, { recursive: true })
})
