/** A configuration in TypeScript, in a project that has the package, and which file a command takes when none is named. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { runSluice } from '../support/cli.ts'
import { Command, sluice } from '../support/command.ts'
import { Peer } from '../support/peer.ts'
import { type TemporaryFolder, temporaryFolder } from '../support/server.ts'

const typed = `import { defineConfig } from 'sluice'

interface Order {
  readonly code: string
  readonly count: number
}

export default defineConfig({
  listen: {
    orders: {
      host: '127.0.0.1',
      port: 0,
      format: 'json',
      dataflow: [
        { filter: 'msg.count > 0' },
        (order: Order) => ({ ...order, code: order.code.toUpperCase() }),
        { reply: 'OK \${msg.code}' },
      ],
    },
  },
})
`
const yaml = 'listen: { plain: { host: 127.0.0.1, port: 0, dataflow: [ reply: "${msg}" ] } }\n'
const cases =
  'tests: [ { name: upper, endpoint: orders, sends: "{\\"code\\":\\"x\\",\\"count\\":1}\\n", replies: "OK X\\n" } ]\n'

/** A project with the given files, in which `sluice` is installed. */
function project(files: Readonly<Record<string, string>>): TemporaryFolder {
  const folder = temporaryFolder()
  mkdirSync(join(folder.path, 'node_modules'))
  symlinkSync(fileURLToPath(new URL('../..', import.meta.url)), join(folder.path, 'node_modules/sluice'))
  for (const [name, text] of Object.entries({ 'package.json': '{"type":"module"}', ...files })) {
    writeFileSync(join(folder.path, name), text)
  }
  return folder
}

describe('sluice.config.ts', () => {
  it('is checked, with its function steps in words', async () => {
    using folder = project({ 'sluice.config.ts': typed })
    const { code, stdout, stderr } = await runSluice(['check'], { cwd: folder.path })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('orders')
    expect(stdout).toMatch(/^sluice\.config\.ts is valid$/m)
  })

  it('runs', async () => {
    using folder = project({ 'sluice.config.ts': typed })
    await using command = new Command(process.execPath, [sluice, 'run', '--hints'], { cwd: folder.path })
    const said = await command.hear('Ctrl-C stops the server.')
    await using client = await Peer.connect(Number(/"orders" listens on port (\d+)/.exec(said)![1]))
    expect(await client.send('{"code":"ab","count":0}\n{"code":"cd","count":1}\n').finish().end()).toBe('OK CD\n')
    command.signal('SIGTERM')
    expect((await command.finished).code).toBe(0)
  })

  it('is tested by the cases beside it', async () => {
    using folder = project({ 'sluice.config.ts': typed, 'sluice.config.test.yaml': cases })
    const { code, stdout } = await runSluice(['test'], { cwd: folder.path })
    expect(stdout).toMatch(/^1 passed, 0 failed$/m)
    expect(code).toBe(0)
  })

  it('is named .mts in a project of CommonJS', async () => {
    using folder = project({ 'sluice.config.mts': typed, 'package.json': '{"type":"commonjs"}' })
    expect(await runSluice(['check', '--quiet'], { cwd: folder.path })).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  it('names the place of a mistake', async () => {
    using folder = project({ 'sluice.config.ts': typed.replace("reply: 'OK", "repla: 'OK") })
    const { code, stderr } = await runSluice(['check'], { cwd: folder.path })
    expect(code).toBe(1)
    expect(stderr).toContain('listen.orders.dataflow[2]')
    expect(stderr).toContain('did you mean reply?')
  })
})

describe('without a name', () => {
  it('sluice.yaml is taken, and the other file is told of', async () => {
    using folder = project({ 'sluice.yaml': yaml, 'sluice.config.ts': typed })
    const { code, stdout, stderr } = await runSluice(['check'], { cwd: folder.path })
    expect(code).toBe(0)
    expect(stderr).toBe('sluice.yaml is taken; there is sluice.config.ts too. Name the file that you mean.\n')
    expect(stdout).toMatch(/^sluice\.yaml is valid$/m)
    expect(await runSluice(['check', '--quiet', 'sluice.config.ts'], { cwd: folder.path })).toMatchObject({
      code: 0,
      stderr: '',
    })
  })

  it.each(['sluice.config.js', 'sluice.config.mjs'])('%s is taken where there is no other', async (name) => {
    const text = `export default { listen: { plain: { port: 0, dataflow: [(text) => text, { reply: '\${msg}' }] } } }`
    using folder = project({ [name]: text })
    const { code, stdout } = await runSluice(['check'], { cwd: folder.path })
    expect(code).toBe(0)
    expect(stdout).toContain(`${name} is valid`)
  })

  it('and without a file it is sluice.yaml that is missing', async () => {
    using folder = project({})
    const { code, stderr } = await runSluice(['check'], { cwd: folder.path })
    expect(code).toBe(1)
    expect(stderr).toContain('there is no file sluice.yaml')
  })
})
