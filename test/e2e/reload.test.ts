import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { RunningSluice, runSluice } from '../support/cli.ts'
import { Command, sluice } from '../support/command.ts'
import { Peer } from '../support/peer.ts'
import { temporaryFolder } from '../support/server.ts'

const answering = (word: string, more = '') =>
  `listen:\n  shell: { host: 127.0.0.1, port: 0, dataflow: [ reply: "${word} \${msg}" ]${more} }\n`
const wrong = 'listen:\n  shell: { host: 127.0.0.1, port: 0, framing: lines, dataflow: [] }\n'

/** Puts another configuration in the place of the one that a server runs with. */
function rewrite({ folder }: RunningSluice, config: string): string {
  const file = join(folder, 'sluice.yaml')
  writeFileSync(file, config)
  return file
}

describe('sluice reload', () => {
  it('puts the changed file in force, keeps connections, and says what has changed', async () => {
    await using running = await RunningSluice.start(answering('old'))
    await using client = await Peer.connect(running.port('shell'))
    await client.send('1\n').hear('old 1\n')
    const file = rewrite(
      running,
      `${answering('new')}  more: { host: 127.0.0.1, port: 0, dataflow: [ log: x ] }\nadmin: 0\n`,
    )
    const { code, stdout, stderr } = await runSluice(['reload', file])
    expect(stderr).toBe('')
    expect(stdout).toBe(`added     more\nchanged   shell\nneeds a restart: admin\n${file} is in force\n`)
    expect(code).toBe(0)
    await client.send('2\n').hear('new 2\n')
    expect(await running.logged('server.reloaded')).toMatchObject({ level: 'info', added: 'more', changed: 'shell' })
    expect(await running.logged('server.reloaded', ({ setting }) => setting === 'admin')).toMatchObject({
      level: 'warn',
    })
  })

  it('changes nothing when there is a mistake, and tells it as check does', async () => {
    await using running = await RunningSluice.start(answering('old'))
    await using client = await Peer.connect(running.port('shell'))
    const file = rewrite(running, wrong)
    const checked = await runSluice(['check', file])
    const { code, stdout, stderr } = await runSluice(['reload', file])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(checked.stderr.trim())
    expect(await running.logged('server.reloadFailed')).toMatchObject({ level: 'error' })
    await running.logged('server.reloadFailed', ({ text }) =>
      /sluice\.yaml:2:\d+ FRAMING_UNKNOWN .* → did you mean line\?$/.test(text),
    )
    await client.send('1\n').hear('old 1\n')
  })

  it('says so when the port is taken, and when no server answers', async () => {
    await using running = await RunningSluice.start(answering('old'))
    const taken = createTcpServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => taken.once('listening', resolve))
    const { port } = taken.address() as { port: number }
    const file = rewrite(running, answering('new').replace('port: 0', `port: ${port}`))
    const refused = await runSluice(['reload', file])
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain(`shell: something else listens on port ${port}\n`)
    taken.close()
    const nobody = await runSluice(['reload', file, '--data', join(running.folder, 'elsewhere')])
    expect(nobody.code).toBe(1)
    expect(nobody.stderr).toContain(`no server answers at ${running.folder}/elsewhere/control.sock`)
    expect(nobody.stderr).toContain('  → Start it with sluice run')
  })

  it('reaches a server whose new configuration names another data folder by --data', async () => {
    await using running = await RunningSluice.start(answering('old'))
    const file = rewrite(running, `${answering('new')}data: { dir: other }\n`)
    expect((await runSluice(['reload', file])).code).toBe(1)
    const { code, stdout } = await runSluice(['reload', file, '--data', join(running.folder, 'sluice-data')])
    expect(stdout).toContain('needs a restart: data\n')
    expect(code).toBe(0)
  })
})

describe('a running server', () => {
  it('reloads at SIGHUP, and is not harmed by one that finds a mistake', async () => {
    await using running = await RunningSluice.start(answering('old'))
    await using client = await Peer.connect(running.port('shell'))
    rewrite(running, wrong)
    running.command.signal('SIGHUP')
    await running.logged('server.reloadFailed')
    rewrite(running, answering('new'))
    running.command.signal('SIGHUP')
    await running.logged('server.reloaded')
    await client.send('1\n').hear('new 1\n')
    running.command.signal('SIGTERM')
    expect(await running.command.finished).toMatchObject({ code: 0 })
  })

  it('reloads by itself with --watch, also when the file is replaced, and a TypeScript file too', async () => {
    using folder = temporaryFolder()
    const file = join(folder.path, 'sluice.config.ts')
    const write = (word: string) =>
      writeFileSync(
        file,
        `export default { listen: { shell: { host: '127.0.0.1', port: 0, dataflow: [(msg: string) => '${word} ' + msg, { reply: '\${msg}' }] } } }\n`,
      )
    write('old')
    await using command = new Command(process.execPath, [sluice, 'run', '--hints', '--watch', file])
    const [, port] = /listens on port (\d+)/.exec(await command.hear('Ctrl-C stops the server.'))!
    await using client = await Peer.connect(Number(port))
    await client.send('1\n').hear('old 1\n')
    write('new')
    await command.until(({ stderr }) => stderr.includes('"server.reloaded"'))
    await client.send('2\n').hear('new 2\n')
  })

  it('has a control socket that only its user may open, and takes it away at the end', async () => {
    await using running = await RunningSluice.start(answering('old'))
    const path = join(running.folder, 'sluice-data/control.sock')
    expect(statSync(path).mode & 0o777).toBe(0o600)
    for (const [request, answer] of [
      ['{"command":"dance"}', 'the server knows no command dance'],
      ['no json', 'JSON'],
    ] as const) {
      await using asker = await Peer.connect({ path })
      expect(await asker.send(`${request}\n`).end()).toContain(answer)
    }
    running.command.signal('SIGTERM')
    await running.command.finished
    expect(existsSync(path)).toBe(false)
  })

  it('replaces the control socket of a server that was killed, and leaves that of a live one alone', async () => {
    using folder = temporaryFolder()
    const config = (name: string) => {
      const file = join(folder.path, `${name}.yaml`)
      writeFileSync(file, `${answering(name)}data: { dir: data }\n`)
      return file
    }
    const run = async (name: string) => {
      const command = new Command(process.execPath, [sluice, 'run', '--hints', config(name)])
      await command.hear('Ctrl-C stops the server.')
      return command
    }
    await using killed = await run('killed')
    killed.signal('SIGKILL')
    await killed.finished
    const path = join(folder.path, 'data/control.sock')
    expect(existsSync(path)).toBe(true)
    await using first = await run('first')
    expect(first.stderr).not.toContain('control.failed')
    await using second = await run('second')
    await second.until(({ stderr }) => stderr.includes(`another server has the control socket ${path}`))
    second.signal('SIGTERM')
    await second.finished
    expect((await runSluice(['reload', config('first')])).stdout).toContain('first.yaml is in force')
    first.signal('SIGTERM')
    await first.finished
  })

  it('works without a control socket where none can be opened', async () => {
    using folder = temporaryFolder()
    const file = join(folder.path, 'sluice.yaml')
    writeFileSync(file, answering('old'))
    mkdirSync(join(folder.path, 'sluice-data/control.sock'), { recursive: true })
    await using command = new Command(process.execPath, [sluice, 'run', '--hints', file])
    const [, port] = /listens on port (\d+)/.exec(await command.hear('Ctrl-C stops the server.'))!
    await command.until(({ stderr }) => stderr.includes('control.failed'))
    await using client = await Peer.connect(Number(port))
    await client.send('1\n').hear('old 1\n')
  })

  it('ends although somebody holds its control socket open', async () => {
    await using running = await RunningSluice.start(answering('old'))
    const silent = connect(join(running.folder, 'sluice-data/control.sock'))
    silent.on('error', () => undefined)
    await new Promise((resolve) => silent.once('connect', resolve))
    running.command.signal('SIGTERM')
    expect(await running.command.finished).toMatchObject({ code: 0 })
    silent.destroy()
  })
})
