import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { folderOfSlot, requireDataFolder, slotsIn } from './data-folder.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-data-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

test('a folder that is there, or that can be made, is accepted and nothing is left in it', () => {
  requireDataFolder(folder)
  requireDataFolder(join(folder, 'a/b/c'))
  expect(readdirSync(folder)).toEqual([])
})

test('the workers behind the first have folders of their own, which are found again', () => {
  expect([1, 2].map((slot) => folderOfSlot('/data', slot))).toEqual(['/data', '/data/worker-2'])
  for (const name of ['worker-10', 'worker-2', 'worker-1', 'worker-x', 'worker-', 'worker-2.5', 'other']) {
    mkdirSync(join(folder, name))
  }
  writeFileSync(join(folder, 'worker-3'), 'no folder')
  expect(slotsIn(folder)).toEqual([2, 10])
  expect(slotsIn(join(folder, 'nothing'))).toEqual([])
})

test('a file in the way is found', () => {
  writeFileSync(join(folder, 'file'), '')
  for (const dir of [join(folder, 'file'), join(folder, 'file/below/it')]) {
    expect(() => requireDataFolder(dir)).toThrow(
      expect.objectContaining({
        code: 'storage_failed',
        message: expect.stringMatching(/^data\.dir .+ cannot be written: .+/),
        hint: 'Dead letters are kept there; name another folder with data: { dir: … }.',
      }),
    )
  }
})

test('a file system that takes no folders is found, also by root', () => {
  expect(() => requireDataFolder('/proc/sluice-data')).toThrow('data.dir /proc/sluice-data cannot be written: ')
})

test.skipIf(process.getuid?.() === 0)('a folder without permission is found', () => {
  mkdirSync(join(folder, 'locked'))
  chmodSync(join(folder, 'locked'), 0o500)
  expect(() => requireDataFolder(join(folder, 'locked/data'))).toThrow('this user may not write there')
})
