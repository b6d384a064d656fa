import { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support/server.ts'
import { createWatch } from './watch.ts'

test('calls back for each change of a file, and for files of YAML that come and go', async () => {
  using folder = temporaryFolder()
  const file = (name: string) => join(folder.path, name)
  await writeFile(file('sluice.yaml'), '1')
  await writeFile(file('scales.csv'), '1')
  let changes = 0
  let changed = Promise.withResolvers<void>()
  const watch = createWatch(
    () => {
      changes++
      changed.resolve()
    },
    (error) => changed.reject(error),
  )
  const seen = async () => {
    await changed.promise
    changed = Promise.withResolvers<void>()
  }
  try {
    watch.follow([file('sluice.yaml'), folder.path, file('scales.csv')])
    for (const name of ['scales.csv', 'new.yaml', 'sluice.yaml']) {
      // As an editor does. A file that is written where it is changes twice, and is seen once if that is quick.
      await writeFile(file('temporary'), 'another line')
      await rename(file('temporary'), file(name))
      await seen()
    }
    await rm(file('new.yaml'))
    await seen()
    expect(changes).toBe(4)
    // What is no longer followed is not looked at.
    watch.follow([file('sluice.yaml')])
    await writeFile(file('scales.csv'), 'and another line')
    await writeFile(file('sluice.yaml'), 'changed')
    await seen()
  } finally {
    watch.close()
  }
})
