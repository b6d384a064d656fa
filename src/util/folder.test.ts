import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { makeFolder } from './folder.ts'

describe('makeFolder', () => {
  let root: string
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'sluice-folder-'))
  })
  afterEach(() => rmSync(root, { recursive: true }))

  it('makes what is missing and says where it began', () => {
    expect(makeFolder(join(root, 'a/b/c'))).toBe(join(root, 'a'))
    expect(existsSync(join(root, 'a/b/c'))).toBe(true)
    expect(makeFolder(join(root, 'a/b/c'))).toBeUndefined()
  })

  it('fails where a file is in the way', () => {
    writeFileSync(join(root, 'file'), '')
    expect(() => makeFolder(join(root, 'file/sub'))).toThrow(/ENOTDIR/)
  })

  it('fails, and does not hang, where the system makes no folders', () => {
    expect(() => makeFolder('/proc/nope/sub')).toThrow(/ENOENT|EROFS|EACCES/)
  })
})
