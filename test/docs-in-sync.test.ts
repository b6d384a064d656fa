import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { findDifferences, generateFiles, measuredPage, writeDifferences } from '../scripts/generate.ts'

const files = generateFiles()

it('the reference and the schema are what the definitions say (if not: npm run generate)', () => {
  expect(findDifferences(join(import.meta.dirname, '..'), files)).toEqual([])
})

it('finds what is missing, changed and stale, and puts it right', () => {
  const root = mkdtempSync(join(tmpdir(), 'sluice-docs-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  expect(findDifferences(root, files)).toHaveLength(files.length)
  writeDifferences(root, files)
  expect(findDifferences(root, files)).toEqual([])

  const changed = files.find(({ path }) => path.endsWith('filter.md'))!
  writeFileSync(join(root, changed.path), `${changed.text} `)
  rmSync(join(root, 'docs/reference/errors.md'))
  const stale = 'docs/reference/steps/no-such-step.md'
  mkdirSync(dirname(join(root, stale)), { recursive: true })
  writeFileSync(join(root, stale), 'old')
  const found = [
    { path: 'docs/reference/errors.md', state: 'missing' },
    { path: changed.path, state: 'changed' },
    { path: stale, state: 'stale' },
  ]
  expect(findDifferences(root, files)).toEqual(found)
  expect(writeDifferences(root, files)).toEqual(found)
  expect(findDifferences(root, files)).toEqual([])
  expect(readFileSync(join(root, changed.path), 'utf8')).toBe(changed.text)
})

it('every link of the reference leads to a page', () => {
  const paths = new Set([...files.map(({ path }) => path), `docs/reference/${measuredPage.path}`])
  const links = files.flatMap(({ path, text }) =>
    [...text.matchAll(/\]\(([^)#:]+\.md)\)/g)].map(([, to]) => join(dirname(path), to!)),
  )
  expect(links.length).toBeGreaterThan(20)
  expect(links.filter((link) => !paths.has(link))).toEqual([])
})
