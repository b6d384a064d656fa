import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
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

it('loads a CommonJS package whose names do not stand in its text', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-packages-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const home = join(folder, 'node_modules', 'sluice-unnamed')
  mkdirSync(home, { recursive: true })
  writeFileSync(join(home, 'package.json'), '{ "name": "sluice-unnamed", "main": "index.js" }')
  writeFileSync(
    join(home, 'index.js'),
    'class Made { constructor() { this.word = "here" } }\nmodule.exports = new Made()\n',
  )
  await expect(importPackage('sluice-unnamed', folder)).resolves.toMatchObject({ word: 'here' })
})

it('loads the client of PostgreSQL where it is installed beside the configuration', async () => {
  const pg = (await importPackage('pg', join(import.meta.dirname, '../..'))) as { Client: unknown }
  expect(pg.Client).toBeTypeOf('function')
})
