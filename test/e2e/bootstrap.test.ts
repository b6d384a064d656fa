/** What `npm start` and the other scripts say on a Node that cannot run them. */
import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { type Finished, run } from '../support/command.ts'
import { type TemporaryFolder, temporaryFolder } from '../support/server.ts'

const script = fileURLToPath(new URL('../../scripts/bootstrap.mjs', import.meta.url))

/** A project of which only the start is there. */
function project(): TemporaryFolder {
  const folder = temporaryFolder()
  mkdirSync(join(folder.path, 'scripts'))
  copyFileSync(script, join(folder.path, 'scripts/bootstrap.mjs'))
  writeFileSync(join(folder.path, 'package-lock.json'), '{}')
  return folder
}

/** Runs a command of the project on this Node, which says that it is another. */
function runOn(version: string, command: string, cwd: string): Promise<Finished> {
  const pretend = `data:text/javascript,Object.defineProperty(process, 'version', { value: '${version}' })`
  return run(process.execPath, ['--import', pretend, 'scripts/bootstrap.mjs', command], { cwd })
}

it('on a Node that is too old to install, says so and installs nothing', async () => {
  using folder = project()
  expect(await runOn('v17.9.1', 'start', folder.path)).toEqual({
    code: 1,
    stdout: '',
    stderr: 'installing needs Node.js 18 or newer; this is v17.9.1.\n',
  })
  expect(existsSync(join(folder.path, 'node_modules'))).toBe(false)
})

it('on a Node that is too old to run where the toolchain has no other, says so', async () => {
  using folder = project()
  mkdirSync(join(folder.path, 'node_modules'))
  // As after an installation that brought no Node for this machine.
  writeFileSync(join(folder.path, 'node_modules/.installed'), createHash('sha256').update('{}').digest('hex'))
  const { code, stdout, stderr } = await runOn('v22.1.0', 'generate', folder.path)
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toBe(
    `Sluice needs Node.js 24 or newer; this is v22.1.0, and there is none to install for ${process.platform} ${process.arch}.\n`,
  )
})

it('names the commands that there are', async () => {
  using folder = project()
  const { code, stderr } = await runOn(process.version, 'biuld', folder.path)
  expect(code).toBe(1)
  expect(stderr).toBe('there is no command "biuld"; there are build, start, test, bench, soak, generate, coverage\n')
})
