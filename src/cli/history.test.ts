import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support/server.ts'
import { HISTORY_SIZE, noHistory, openHistory } from './history.ts'

test('keeps lines, newest first, where only the user reads them', () => {
  using folder = temporaryFolder()
  const env = { XDG_STATE_HOME: folder.path }
  expect(openHistory(env).lines).toEqual([])
  openHistory(env).save(['newest', 'oldest'])
  expect(openHistory(env).lines).toEqual(['newest', 'oldest'])
  expect(statSync(join(folder.path, 'sluice/connect-history')).mode & 0o777).toBe(0o600)
})

test('keeps so many lines and no more', () => {
  using folder = temporaryFolder()
  const env = { XDG_STATE_HOME: folder.path }
  openHistory(env).save(Array.from({ length: HISTORY_SIZE + 5 }, (_, i) => `line ${i}`))
  expect(openHistory(env).lines).toHaveLength(HISTORY_SIZE)
  expect(openHistory(env).lines[0]).toBe('line 0')
})

test('is no failure where nothing can be written', () => {
  using folder = temporaryFolder()
  writeFileSync(join(folder.path, 'sluice'), 'a file where the folder should be')
  openHistory({ XDG_STATE_HOME: folder.path }).save(['a'])
  expect(openHistory({ XDG_STATE_HOME: folder.path }).lines).toEqual([])
  mkdirSync(join(folder.path, 'other'))
  noHistory().save(['a'])
  expect(noHistory().lines).toEqual([])
})
