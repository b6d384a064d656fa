import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { lockFolder } from './folder-lock.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-lock-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

test('one has a folder at a time, and who has it is said', () => {
  const dir = join(folder, 'a/b')
  const release = lockFolder(dir)
  expect(() => lockFolder(dir)).toThrow(`another server (process ${process.pid}) uses the data folder ${dir}`)
  release()
  lockFolder(dir)()
})

test('a folder that cannot be made is told as such', () => {
  expect(() => lockFolder('/proc/sluice')).toThrow('cannot lock /proc/sluice: ')
})
