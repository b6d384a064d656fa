import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { hasClient } from '../../scripts/debian-clients.ts'
import { RunningSluice, runSluice } from '../support/cli.ts'
import { Command, sluice } from '../support/command.ts'
import { Peer } from '../support/peer.ts'
import { temporaryFolder } from '../support/server.ts'

const helper = (name: string) => fileURLToPath(new URL(`../support/${name}`, import.meta.url))
const answering = (word: string) =>
  `listen:\n  shell: { host: 127.0.0.1, port: 0, dataflow: [ reply: "${word} \${msg}" ] }\n`

describe.runIf(hasClient('python3') && hasClient('systemd-notify'))('with Type=notify', () => {
  it('systemd hears when the server is ready, reloads and stops', async () => {
    using folder = temporaryFolder()
    const path = join(folder.path, 'notify')
    await using receiver = new Command('python3', [helper('notify-receiver.py'), path])
    await receiver.hear('bound')
    const heard = () =>
      receiver.stdout
        .trim()
        .split('\n')
        .slice(1)
        .map((line) => JSON.parse(line) as string[])
    await using running = await RunningSluice.start(answering('old'), { env: { NOTIFY_SOCKET: path } })
    await receiver.hear('running: shell')
    expect(heard()).toEqual([['READY=1', 'STATUS=running: shell']])
    const before = process.hrtime.bigint() / 1000n
    await runSluice(['reload', join(running.folder, 'sluice.yaml')])
    await receiver.until(() => heard().length === 3)
    const [reloading, ready] = heard().slice(1)
    expect(reloading).toEqual(['RELOADING=1', expect.stringMatching(/^MONOTONIC_USEC=\d+$/), 'STATUS=reloading'])
    const time = BigInt(reloading![1]!.split('=')[1]!)
    expect(time > before && time < process.hrtime.bigint() / 1000n).toBe(true)
    expect(ready![0]).toBe('READY=1')
    writeFileSync(join(running.folder, 'sluice.yaml'), 'listen: {}\n')
    running.command.signal('SIGHUP')
    await receiver.until(() => heard().length === 5)
    expect(
      heard()
        .slice(3)
        .map(([first]) => first),
    ).toEqual(['RELOADING=1', 'READY=1'])
    running.command.signal('SIGTERM')
    expect(await running.command.finished).toMatchObject({ code: 0 })
    await receiver.until(() => heard().length === 6)
    expect(heard()[5]![0]).toBe('STOPPING=1')
  })
})

describe('with NOTIFY_SOCKET and nobody there', () => {
  it('the server works, and says once that it cannot be heard', async () => {
    using folder = temporaryFolder()
    const env = { NOTIFY_SOCKET: join(folder.path, 'nobody') }
    await using running = await RunningSluice.start(answering('old'), { env })
    expect(await running.logged('serviceManager.failed')).toMatchObject({ level: 'warn' })
    running.command.signal('SIGTERM')
    expect(await running.command.finished).toMatchObject({ code: 0 })
    expect(running.log.filter(({ event }) => event === 'serviceManager.failed')).toHaveLength(1)
  })
})

/** A program that has bound sockets and starts servers with them. */
class Holder implements AsyncDisposable {
  readonly command: Command
  readonly #pids: number[] = []

  constructor(sockets: readonly string[], file: string) {
    const args = [helper('socket-holder.py'), ...sockets, '--', process.execPath, sluice, 'run', file]
    this.command = new Command('python3', args)
  }

  async bound(name: string): Promise<string> {
    const pattern = new RegExp(`^bound ${name} (\\S+)$`, 'm')
    return pattern.exec(await this.command.hear(pattern))![1]!
  }

  /** Starts a server and waits until it has started. */
  async start(): Promise<number> {
    const count = this.#pids.length + 1
    this.command.send('start\n')
    await this.command.until(
      ({ stdout, stderr }) => stdout.split('\npid ').length > count && stderr.split('"server.started"').length > count,
    )
    this.#pids.push(Number(this.command.stdout.split('\npid ')[count]!.split('\n')[0]))
    return this.#pids.at(-1)!
  }

  /** Servers that have ended are gone; those that are left are ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of this.#pids) {
      try {
        process.kill(pid, 'SIGTERM')
      } catch {}
    }
    await this.command.finish().finished
  }
}

describe.runIf(hasClient('python3'))('with sockets that were handed over', () => {
  it('the one with the address of an endpoint is used, else the one with its name; others are told of', async () => {
    using folder = temporaryFolder()
    const file = join(folder.path, 'sluice.yaml')
    const path = join(folder.path, 'lines.sock')
    writeFileSync(file, '')
    await using holder = new Holder(['a=127.0.0.1', 'b=::1', 'named=127.0.0.1', 'd=127.0.0.1', `e=${path}`], file)
    const [a, b, named, unused] = await Promise.all(['a', 'b', 'named', 'd'].map((name) => holder.bound(name)))
    writeFileSync(
      file,
      `listen:
  four: { host: 127.0.0.1, port: ${a}, dataflow: [ reply: four ] }
  six: { host: "0:0:0:0:0:0:0:1", port: ${b}, dataflow: [ reply: six ] }
  named: { port: 7, dataflow: [ reply: named ] }
  unix: { socket: lines.sock, dataflow: [ reply: 'unix \${client.ip}' ] }
  own: { host: 127.0.0.1, port: 0, dataflow: [ reply: own ] }
`,
    )
    await holder.start()
    for (const [to, answer] of [
      [{ host: '127.0.0.1', port: Number(a) }, 'four\n'],
      [{ host: '::1', port: Number(b) }, 'six\n'],
      [{ host: '127.0.0.1', port: Number(named) }, 'named\n'],
      [{ path }, `unix ${path}\n`],
    ] as const) {
      await using client = await Peer.connect(to)
      await client.send('x\n').hear(answer)
    }
    await holder.command.until(({ stderr }) => stderr.includes('socket.unused'))
    const line = holder.command.stderr.split('\n').find((text) => text.includes('socket.unused'))!
    expect(JSON.parse(line)).toMatchObject({ level: 'warn', fd: 6, name: 'd' })
    expect(Number(unused)).toBeGreaterThan(0)
  })

  it('an upgrade refuses no connection: the old server drains while the new one serves', async () => {
    using folder = temporaryFolder()
    const file = join(folder.path, 'sluice.yaml')
    writeFileSync(file, '')
    await using holder = new Holder(['shell=127.0.0.1'], file)
    const port = Number(await holder.bound('shell'))
    writeFileSync(file, answering('old').replace('port: 0', `port: ${port}`))
    const old = await holder.start()
    const answers: string[] = []
    let wrong = 0
    let coming = true
    const visit = async () => {
      // A client whose server says good-bye before it was asked comes again, as devices do.
      for (;;) {
        await using client = await Peer.connect(port)
        await client.send('1\n').until(({ text, ended }) => ended || text.endsWith('\n'))
        if (client.text !== '') return void answers.push(client.text)
      }
    }
    const visiting = Promise.all(
      Array.from({ length: 8 }, async () => {
        while (coming) await visit().catch(() => wrong++)
      }),
    )
    const answered = (word: string) => async () => {
      while (!answers.includes(`${word} 1\n`)) await new Promise(setImmediate)
    }
    await answered('old')()
    writeFileSync(file, answering('new').replace('port: 0', `port: ${port}`))
    await holder.start()
    await answered('new')()
    process.kill(old, 'SIGTERM')
    await holder.command.until(({ stderr }) => stderr.includes('"server.stopped"'))
    const since = answers.length
    while (answers.length < since + 50) await new Promise(setImmediate)
    coming = false
    await visiting
    expect(wrong).toBe(0)
    expect(answers.slice(since + 8).every((answer) => answer === 'new 1\n')).toBe(true)
  })

  it('clients wait while the server is started again', async () => {
    using folder = temporaryFolder()
    const file = join(folder.path, 'sluice.yaml')
    writeFileSync(file, '')
    await using holder = new Holder(['shell=127.0.0.1'], file)
    const port = Number(await holder.bound('shell'))
    writeFileSync(file, answering('again').replace('port: 0', `port: ${port}`))
    process.kill(await holder.start(), 'SIGTERM')
    await holder.command.until(({ stderr }) => stderr.includes('"server.stopped"'))
    await using client = await Peer.connect(port)
    client.send('1\n')
    await holder.start()
    await client.hear('again 1\n')
  })
})
