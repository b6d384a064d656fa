import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { hasClient } from '../scripts/debian-clients.ts'
import { runSluice } from './support/cli.ts'
import { run } from './support/command.ts'
import { temporaryFolder } from './support/server.ts'

const root = join(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')

interface LockedPackage {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

// No Docker engine is asked to build it: this only finds what would fail at once.
describe('the Dockerfile', () => {
  const lines = read('Dockerfile').split('\n')
  const copied = lines.flatMap((line) => /^COPY (?!--from)(.+) \S+$/.exec(line)?.[1]?.split(' ') ?? [])

  it('copies files that exist, and that .dockerignore lets through', () => {
    expect(copied).toContain('src')
    const allowed = read('.dockerignore').split('\n')
    for (const file of copied) {
      expect(existsSync(join(root, file)), file).toBe(true)
      expect(allowed, file).toContain(`!${file}`)
    }
  })

  it('finds every package in the lock file that another one names: npm ci takes no file with a gap', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, LockedPackage> }
    const gaps = Object.entries(packages).flatMap(([path, { dependencies, optionalDependencies }]) =>
      Object.keys({ ...dependencies, ...optionalDependencies }).filter((name) => {
        // Node looks in the folder itself, then in each above it.
        const folders = path
          .split('/node_modules/')
          .map((_, i, all) => all.slice(0, all.length - i).join('/node_modules/'))
        return ![...folders, ''].some((folder) => `${folder}/node_modules/${name}`.replace(/^\//, '') in packages)
      }),
    )
    expect(gaps).toEqual([])
  })

  it('runs as another user than root, with a command that the program knows', async () => {
    expect(lines).toContain('USER node')
    const [program, ...args] = JSON.parse(/^ENTRYPOINT (.+)$/m.exec(read('Dockerfile'))![1]!) as string[]
    expect([program, ...args]).toEqual(['node', '/app/bin/sluice.js'])
    const [command] = JSON.parse(/^CMD (.+)$/m.exec(read('Dockerfile'))![1]!) as string[]
    expect((await runSluice([command!, '--help'])).code).toBe(0)
  })
})

describe('the units of systemd', () => {
  it('call commands that the program knows', async () => {
    const commands = Array.from(read('packaging/sluice.service').matchAll(/^Exec\w+=\/usr\/bin\/sluice (.+)$/gm))
    expect(commands).toHaveLength(2)
    using folder = temporaryFolder()
    for (const [, args] of commands) {
      // The file is not there, which is a failure and not a wrong usage.
      const { code } = await runSluice(args!.replace('/etc/sluice', folder.path).split(' '))
      expect(code).toBe(1)
    }
  })

  it.runIf(hasClient('systemd-analyze'))('are understood by systemd', async () => {
    using folder = temporaryFolder()
    // A machine that builds has neither the program nor the user.
    const unit = read('packaging/sluice.service').replaceAll('/usr/bin/sluice', '/bin/true')
    mkdirSync(join(folder.path, 'units'))
    const files = ['sluice.service', 'sluice.socket'].map((name) => join(folder.path, 'units', name))
    writeFileSync(files[0]!, unit.replace(/^(User|Group)=.*\n/gm, ''))
    writeFileSync(files[1]!, read('packaging/sluice.socket'))
    expect(await run('systemd-analyze', ['verify', '--man=no', ...files])).toEqual({ stdout: '', stderr: '', code: 0 })
  })
})
