import { once } from 'node:events'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import { generate } from 'selfsigned'
import { describe, expect, it } from 'vitest'
import { RunningSluice, runSluice } from '../support/cli.ts'
import { run, suspend } from '../support/command.ts'
import { freePort } from '../support/free-port.ts'
import { eventually } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { temporaryFolder } from '../support/server.ts'
import { connectToBoth, ended, workerOf } from '../support/workers.ts'

/** A machine that runs other tests starts processes slowly. */
const TIMEOUT = 60_000

const answering = (word: string, more = '') => `workers: 2
listen:
  shell: { host: 127.0.0.1, port: 0, dataflow: [ reply: "${word} \${client.id} \${msg}" ]${more} }
`

describe('several workers', { timeout: TIMEOUT }, () => {
  it('share the connections: each goes to the worker with the fewest', async () => {
    await using running = await RunningSluice.start(answering('ok'))
    const port = running.port('shell')
    const [first, second] = await connectToBoth(port)
    await using third = await Peer.connect(port)
    await third.send('who\n').hear('\n')
    const onFirst: Peer[] = []
    const onSecond = third.text.includes('-2.') ? [second, third] : [second]
    // The first worker loses all that it has, so it gets what comes until both have as many.
    for (const peer of [first, third]) if (!onSecond.includes(peer)) await peer.finish().end()
    for (let i = 0; i < 4; i++) {
      const peer = await Peer.connect(port)
      if ((await peer.send('who\n').hear('\n')).includes('-2.')) onSecond.push(peer)
      else onFirst.push(peer)
    }
    expect(Math.abs(onFirst.length - onSecond.length)).toBeLessThanOrEqual(1)
    for (const peer of [...onFirst, ...onSecond]) await peer.finish().end()
  })

  it('lose only the connections of the one that dies, and it is started again', async () => {
    await using running = await RunningSluice.start(answering('ok'))
    const [first, second] = await connectToBoth(running.port('shell'))
    process.kill(await workerOf(running, 1), 'SIGKILL')
    await first.end()
    expect(await second.send('still\n').hear('still\n')).toContain('ok shell-2.1 still\n')
    expect(await running.logged('worker.exited')).toMatchObject({ worker: 1, reason: 'killed by SIGKILL' })
    await workerOf(running, 1, 2)
    await using newcomer = await Peer.connect(running.port('shell'))
    expect(await newcomer.send('new\n').hear('\n')).toBe('ok shell-1r1.1 new\n')
  })

  it('lose no connection that a worker had not yet taken when it died, nor a byte of it', async () => {
    await using running = await RunningSluice.start(answering('ok'))
    const pid = await workerOf(running, 1)
    await suspend(pid)
    const peers = await Promise.all([1, 2, 3, 4].map(() => Peer.connect(running.port('shell'))))
    for (const [i, peer] of peers.entries()) peer.send(`line ${i}\n`)
    // Two of them wait for a worker that does nothing.
    const answered = () => peers.filter(({ text }) => text !== '')
    await Promise.any(peers.map((peer) => peer.hear('\n')))
    process.kill(pid, 'SIGKILL')
    await Promise.all(peers.map((peer) => peer.hear('\n')))
    expect(answered()).toHaveLength(4)
    for (const [i, peer] of peers.entries()) expect(peer.text).toMatch(new RegExp(`^ok shell-\\S+ line ${i}\\n$`))
    await Promise.all(peers.map((peer) => peer.finish().end()))
  })

  it('give a worker that is blocked few connections, and all the others to the one that is not', async () => {
    await using running = await RunningSluice.start(answering('ok'))
    const pid = await workerOf(running, 1)
    await suspend(pid)
    const peers = await Promise.all(Array.from({ length: 40 }, () => Peer.connect(running.port('shell'))))
    for (const peer of peers) peer.send('x\n')
    const answered = () => peers.filter(({ text }) => text.endsWith('\n'))
    await eventually(() => answered().length >= 32)
    for (const peer of answered()) expect(peer.text).toMatch(/^ok shell-2\./)
    process.kill(pid, 'SIGCONT')
    await Promise.all(peers.map((peer) => peer.hear('\n')))
    await Promise.all(peers.map((peer) => peer.finish().end()))
  })

  it.skipIf(!existsSync('/usr/bin/prlimit'))(
    'close what a worker without file descriptors cannot take, and give it more when it has some again',
    async () => {
      await using running = await RunningSluice.start(answering('ok'))
      const port = running.port('shell')
      const [first, second] = await connectToBoth(port)
      const pid = await workerOf(running, 1)
      const limit = (files: string | number) => run('prlimit', ['--pid', String(pid), `--nofile=${files}`])
      const { length } = readdirSync(`/proc/${pid}/fd`)
      expect((await limit(`${length}:4096`)).stderr).toBe('')
      const peers = await Promise.all(Array.from({ length: 40 }, () => Peer.connect(port)))
      for (const peer of peers) peer.send('x\n')
      await eventually(() => peers.every(({ text, closed, ended }) => text !== '' || closed || ended))
      expect(peers.filter(({ text }) => text.startsWith('ok shell-1.')).length).toBeLessThan(20)
      await limit('4096:4096')
      await using later = await Peer.connect(port)
      expect(await later.send('x\n').hear('\n')).toMatch(/^ok shell-1\./)
      for (const peer of [first, second]) await peer.finish().end()
    },
  )

  it('let newcomers wait while none of them is there, and refuse nobody', async () => {
    await using running = await RunningSluice.start(answering('ok'))
    const port = running.port('shell')
    for (const worker of [1, 2]) process.kill(await workerOf(running, worker), 'SIGKILL')
    await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        await using peer = await Peer.connect(port)
        expect(await peer.send(`${i}\n`).hear('\n')).toMatch(new RegExp(`^ok shell-.* ${i}\\n$`))
      }),
    )
  })

  it('have the limit on connections together', async () => {
    await using running = await RunningSluice.start(`admin: 0\n${answering('ok', ', limits: { maxConnections: 3 }')}`)
    const port = running.port('shell')
    const peers = await Promise.all([1, 2, 3].map(() => Peer.connect(port)))
    for (const peer of peers) await peer.send('x\n').hear('\n')
    await using refused = await Peer.connect(port)
    expect(await refused.end()).toBe('')
    expect(await running.logged('connection.refused')).toMatchObject({ detail: 'limits.maxConnections is 3' })
    const { body } = await running.get('/metrics')
    expect(body).toContain('sluice_connections_refused_total{endpoint="shell",reason="too_many_connections"} 1\n')
    await peers[0]!.finish().end()
    await running.logged('connection.closed')
    await using next = await Peer.connect(port)
    await next.send('x\n').hear('\n')
    for (const peer of peers) await peer.finish().end()
  })

  it('count together, and no count falls when one dies', async () => {
    await using running = await RunningSluice.start(`admin: 0\n${answering('ok')}`)
    const [first, second] = await connectToBoth(running.port('shell'))
    const metric = async (name: string) => {
      const { body } = await running.get('/metrics')
      return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)$`, 'm').exec(body)?.[1])
    }
    expect(await metric('sluice_connections')).toBe(2)
    expect(await metric('sluice_messages_received_total')).toBe(2)
    expect(await metric('sluice_workers')).toBe(2)
    process.kill(await workerOf(running, 2), 'SIGKILL')
    await second.end()
    await running.logged('worker.exited')
    expect(await metric('sluice_messages_received_total')).toBe(2)
    expect(await metric('sluice_connections')).toBe(1)
    await workerOf(running, 2, 2)
    expect(await metric('sluice_worker_restarts_total')).toBe(1)
    await first.finish().end()
    expect((await running.get('/health/ready')).status).toBe(200)
  })

  it('drain together at SIGTERM, and ignore what a terminal sends to all', async () => {
    await using running = await RunningSluice.start(answering('ok'))
    const pids = [await workerOf(running, 1), await workerOf(running, 2)]
    for (const pid of pids) for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.kill(pid, signal)
    const peers = await connectToBoth(running.port('shell'))
    running.command.signal('SIGTERM')
    const { code, stderr } = await running.command.finished
    expect(code).toBe(0)
    for (const peer of peers) await peer.end()
    for (const pid of pids) await ended(pid)
    expect(stderr.match(/"server.stopped"/g)).toHaveLength(1)
    expect(stderr).not.toContain('worker.exited')
  })

  it('finish and end when their supervisor is killed', async () => {
    await using running = await RunningSluice.start(answering('ok'))
    const pids = [await workerOf(running, 1), await workerOf(running, 2)]
    const peers = await connectToBoth(running.port('shell'))
    running.command.signal('SIGKILL')
    await running.command.finished
    for (const peer of peers) await peer.end()
    for (const pid of pids) await ended(pid)
  })

  it('do not start at all when one cannot, and say why', async () => {
    using folder = temporaryFolder()
    const file = join(folder.path, 'sluice.yaml')
    writeFileSync(file, `${answering('ok')}  more: { port: 0, dataflow: [ file: { path: /proc/nothing/here } ] }\n`)
    const { code, stderr } = await runSluice(['run', file])
    expect(code).toBe(1)
    expect(stderr).toMatch(/^.*sluice.yaml:4: .*\/proc\/nothing/m)
    expect(stderr).not.toContain('server.started')
  })

  it('serve a Unix socket too', async () => {
    using folder = temporaryFolder()
    const path = join(folder.path, 'shell.sock')
    const config = `workers: 2\nlisten: { shell: { socket: ${path}, dataflow: [ reply: "\${client.ip} \${msg}" ] } }\n`
    await using running = await RunningSluice.start(`admin: 0\n${config}`)
    await using peer = await Peer.connect({ path })
    expect(await peer.send('x\n').hear('\n')).toBe(`${path} x\n`)
    running.command.signal('SIGTERM')
    await running.command.finished
    expect(existsSync(path)).toBe(false)
  })

  it('read a PROXY header that came before the connection was handed over', async () => {
    const proxied = `workers: 2
listen:
  shell: { host: 127.0.0.1, port: 0, proxyProtocol: { trust: 127.0.0.1 }, dataflow: [ reply: "\${client.ip} \${msg}" ] }
`
    await using running = await RunningSluice.start(proxied)
    for (let i = 0; i < 4; i++) {
      await using peer = await Peer.connect(running.port('shell'))
      const sent = peer.send('PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\nhello\n').finish()
      expect(await sent.end()).toBe('203.0.113.7 hello\n')
    }
    expect((await running.logged('connection.closed'))['peer']).toBe('203.0.113.7:4711')
  })

  it('bind the port themselves with balance: reusePort', async () => {
    const port = await freePort()
    const config = answering('ok').replace('port: 0', `port: ${port}`)
    await using running = await RunningSluice.start(`balance: reusePort\n${config}`)
    expect(running.port('shell')).toBe(port)
    await running.logged('listener.opened', ({ worker }) => worker === 2)
    const seen = new Set<string>()
    while (seen.size < 2) {
      await using peer = await Peer.connect(port)
      seen.add(/shell-(\d)/.exec(await peer.send('x\n').hear('\n'))![1]!)
    }
  })
})

describe('a reload of several workers', { timeout: TIMEOUT }, () => {
  const rewrite = (running: RunningSluice, config: string) => {
    const file = join(running.folder, 'sluice.yaml')
    writeFileSync(file, config)
    return file
  }

  it('reaches all of them, keeps connections, and is told once', async () => {
    await using running = await RunningSluice.start(answering('old'))
    const peers = await connectToBoth(running.port('shell'))
    const port = await freePort()
    const more = `  more: { host: 127.0.0.1, port: ${port}, dataflow: [ reply: "more \${client.id}" ] }\n`
    const { code, stdout, stderr } = await runSluice(['reload', rewrite(running, answering('new') + more)])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^added {5}more\nchanged {3}shell\n/)
    for (const peer of peers) expect(await peer.send('1\n').hear('new')).toMatch(/new shell-\d\.1 1\n$/)
    const newcomers = await Promise.all([Peer.connect(port), Peer.connect(port)])
    const answers = await Promise.all(newcomers.map((peer) => peer.send('x\n').hear('\n')))
    expect(answers.sort()).toEqual(['more more-1.1\n', 'more more-2.1\n'])
    expect(running.log.filter(({ event }) => event === 'server.reloaded')).toHaveLength(1)
    // The address is unbound when no worker wants it any more.
    await runSluice(['reload', rewrite(running, answering('new'))])
    await expect(Peer.connect(port)).rejects.toThrow('ECONNREFUSED')
    for (const peer of peers) await peer.send('2\n').hear(' 2\n')
    // Who is started later has the new configuration.
    process.kill(await workerOf(running, 1), 'SIGKILL')
    await workerOf(running, 1, 2)
    const later = await Peer.connect(running.port('shell'))
    expect(await later.send('x\n').hear('\n')).toMatch(/^new shell-1r1\.1/)
  })

  it('changes nothing with a mistake, a taken port, or messages that wait for a step that is gone', async () => {
    const buffered = (steps: string) => answering('old', '').replace('[ reply', `[ ${steps}reply`)
    const waiting = '{ tcp: { host: 127.0.0.1, port: 1, buffer: disk }, id: store }, '
    await using running = await RunningSluice.start(buffered(waiting))
    const peers = await connectToBoth(running.port('shell'))
    const wrong = await runSluice(['reload', rewrite(running, answering('new').replace('reply', 'replay'))])
    expect(wrong).toMatchObject({ code: 1, stdout: '' })
    expect(wrong.stderr).toContain('did you mean reply?')
    await using taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as { port: number }
    const more = `  more: { host: 127.0.0.1, port: ${port}, dataflow: [ log: x ] }\n`
    const bound = await runSluice(['reload', rewrite(running, buffered(waiting) + more)])
    expect(bound.stderr).toContain(`more: something else listens on port ${port}`)
    const gone = await runSluice(['reload', rewrite(running, answering('new'))])
    expect(gone.stderr).toContain('1 messages wait in the buffer of store')
    for (const peer of peers) expect(await peer.send('x\n').hear('x\n')).toMatch(/old shell-\d\.1 x\n$/)
    expect(running.log.filter(({ event }) => event === 'server.reloadFailed').length).toBeGreaterThanOrEqual(3)
  })
})

describe('clients of several workers', { timeout: TIMEOUT }, () => {
  const chat = `workers: 2
listen:
  chat:
    host: 127.0.0.1
    port: 0
    format: json
    onError: [ reply: { text: "\${error.code}" } ]
    dataflow:
      - if: msg.to != null
        send: { to: { client: "\${msg.to}" }, text: "private \${msg.text}" }
      - if: msg.to == null
        send: { to: all, text: "all \${msg.text}", exceptSender: true }
      - reply: { text: "sent by \${client.id}" }
`

  it('reach each other: one by its id, all at once; and an unknown one is an error', async () => {
    await using running = await RunningSluice.start(chat)
    const port = running.port('chat')
    const peers = await Promise.all([1, 2, 3, 4].map(() => Peer.connect(port)))
    // From here on all of them are known to their workers.
    for (const peer of peers) await peer.send('{"to":"nobody"}\n').hear('client_unknown\n')
    const ids: string[] = []
    for (const peer of peers) {
      peer.send('{"text":"hello"}\n')
      ids.push(/sent by (\S+)/.exec(await peer.hear('sent by'))![1]!)
    }
    expect(ids.toSorted()).toEqual(['chat-1.1', 'chat-1.2', 'chat-2.1', 'chat-2.2'])
    for (const peer of peers) await peer.until(({ text }) => text.split('all hello\n').length === 4)
    const [from] = peers
    for (const [i, id] of ids.entries()) {
      from!.send(`{"to":"${id}","text":"t${i}"}\n`)
      expect(await peers[i]!.hear(`t${i}\n`)).toContain(`private t${i}\n`)
    }
    for (const id of ['chat-1.9', 'chat-2.9', 'chat-3.1', 'nobody']) {
      const before = from!.text.length
      from!.send(`{"to":"${id}","text":"x"}\n`)
      await from!.until(({ text }) => text.slice(before).includes('client_unknown\n'))
    }
    for (const peer of peers) await peer.finish().end()
  })

  it('resume their TLS session with another worker', async () => {
    using folder = temporaryFolder()
    const made = await generate([{ name: 'commonName', value: 'localhost' }])
    const [cert, key] = [join(folder.path, 'cert.pem'), join(folder.path, 'key.pem')]
    writeFileSync(cert, made.cert)
    writeFileSync(key, made.private)
    await using running = await RunningSluice.start(answering('ok', `, tls: { cert: ${cert}, key: ${key} }`))
    const to = { port: running.port('shell'), host: '127.0.0.1', ca: made.cert, servername: 'localhost' }
    const sessions: Buffer[] = []
    const open = async (): Promise<[TLSSocket, Peer, string]> => {
      const socket = connectTls({ ...to, session: sessions.at(-1), allowHalfOpen: true } as ConnectionOptions)
      socket.on('session', (session) => sessions.push(session))
      await once(socket, 'secureConnect')
      const peer = Peer.over(socket)
      return [socket, peer, await peer.send('who\n').hear('\n')]
    }
    const [first, one, firstId] = await open()
    const [second, two, secondId] = await open()
    expect([firstId, secondId].sort()).toEqual(['ok shell-1.1 who\n', 'ok shell-2.1 who\n'])
    expect([first.isSessionReused(), second.isSessionReused()]).toEqual([false, true])
    for (const peer of [one, two]) await peer.finish().end()
  })
})

describe('what only one worker may do', { timeout: TIMEOUT }, () => {
  it('is done by one: each connect endpoint is dialled once, and again when its worker has died', async () => {
    const sockets: Socket[] = []
    const lines: string[] = []
    await using device = createServer((socket) => {
      sockets.push(socket)
      socket.on('data', (bytes) => lines.push(String(bytes))).on('error', () => undefined)
    }).listen(0, '127.0.0.1')
    await once(device, 'listening')
    const { port } = device.address() as { port: number }
    const entry = (name: string) =>
      `  ${name}: { host: 127.0.0.1, port: ${port}, onConnect: [ reply: "\${client.id}" ], dataflow: [ log: x ] }\n`
    await using running = await RunningSluice.start(
      `workers: 2\nadmin: 0\nconnect:\n${['a', 'b', 'c'].map(entry).join('')}`,
    )
    const names = () => lines.join('').split('\n').filter(Boolean).sort()
    await eventually(() => names().length === 3)
    expect(names()).toEqual(['a-1.1', 'b-2.1', 'c-1.1'])
    process.kill(await workerOf(running, 2), 'SIGKILL')
    await eventually(() => names().length === 4)
    expect(names()).toEqual(['a-1.1', 'b-2.1', 'b-2r1.1', 'c-1.1'])
    for (const socket of sockets) socket.destroy()
  })

  it('retries dead letters by a command, whichever worker has kept them', async () => {
    using folder = temporaryFolder()
    const target = join(folder.path, 'target')
    const config = answering('ok').replace(
      '[ reply',
      `[ reply: got, script: { file: ${join(folder.path, 's.mjs')} }, reply`,
    )
    writeFileSync(
      join(folder.path, 's.mjs'),
      `import { existsSync } from 'node:fs'
export default (msg) => { if (!existsSync('${target}')) throw new Error('not yet'); return msg }`,
    )
    await using running = await RunningSluice.start(config)
    const port = running.port('shell')
    const peers = await Promise.all([Peer.connect(port), Peer.connect(port)])
    for (const peer of peers) await peer.send('x\n').hear('got\n')
    const kept = () => running.log.filter(({ event }) => event === 'deadLetter.stored')
    await running.command.until(() => kept().length === 2)
    expect(new Set(kept().map(({ worker }) => worker))).toEqual(new Set([1, 2]))
    writeFileSync(target, '')
    const file = join(running.folder, 'sluice.yaml')
    const { code, stdout, stderr } = await runSluice(['dead', 'retry', '--all', '--yes', '--config', file])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('2')
    for (const peer of peers) await peer.finish().end()
  })
})

describe('the data of several workers', { timeout: TIMEOUT }, () => {
  it('is found again when there are fewer of them', async () => {
    using folder = temporaryFolder()
    const data = join(folder.path, 'data')
    const received: string[] = []
    const port = await freePort()
    const config = (workers: number) => `workers: ${workers}
listen:
  shell:
    host: 127.0.0.1
    port: 0
    dataflow:
      - tcp: { host: 127.0.0.1, port: ${port}, buffer: disk }
        id: store
      - reply: "kept by \${client.id}"
data: { dir: ${data} }
`
    const send = async (running: RunningSluice, lines: readonly string[]) => {
      const peers = await Promise.all(lines.map(() => Peer.connect(running.port('shell'))))
      for (const [i, peer] of peers.entries()) await peer.send(`${lines[i]}\n`).hear('kept')
      running.command.signal('SIGTERM')
      expect((await running.command.finished).code).toBe(0)
    }
    await using three = await RunningSluice.start(config(3))
    await send(three, ['a', 'b', 'c', 'd', 'e', 'f'])
    const status = await runSluice(['data', 'status', '--data', data])
    expect(status.stdout).toMatch(/worker-2\/buffers\.db.*\n {2}store: 2 messages/)
    expect(status.stdout).toMatch(/worker-3\/buffers\.db.*\n {2}store: 2 messages/)
    expect((await runSluice(['data', 'check', '--data', data])).stdout).toContain('worker-3/buffers.db')
    const { stdout } = await runSluice(['data', 'export', 'store', '--data', data])
    const texts = stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { text: string }).text)
    expect(texts.sort()).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])

    await using two = await RunningSluice.start(config(2))
    expect(await two.logged('buffer.adopted')).toMatchObject({ step: 'store', messages: 2 })
    await send(two, ['g', 'h'])
    expect(existsSync(join(data, 'worker-3'))).toBe(false)

    await using destination = createServer((socket) => {
      socket.on('data', (bytes) => received.push(String(bytes))).on('error', () => undefined)
    }).listen(port, '127.0.0.1')
    await once(destination, 'listening')
    await using one = await RunningSluice.start(config(1))
    expect(await one.logged('buffer.adopted')).toMatchObject({ step: 'store', messages: 3 })
    const lines = () => received.join('').split('\n').filter(Boolean)
    await eventually(() => lines().length === 8)
    expect(lines().sort()).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
    one.command.signal('SIGTERM')
    await one.command.finished
    expect(existsSync(join(data, 'worker-2'))).toBe(false)
  })

  it('is kept apart: dedupe needs to be told that each worker remembers for itself', async () => {
    using folder = temporaryFolder()
    const file = join(folder.path, 'sluice.yaml')
    const config = (options: string) => `workers: 2
listen: { scans: { port: 0, format: json, key: msg.id, dataflow: [ { dedupe: ${options}, id: once }, reply: ok ] } }
`
    writeFileSync(file, config('{ }'))
    const { code, stderr } = await runSluice(['check', file])
    expect(code).toBe(1)
    expect(stderr).toContain('SCOPE_MISSING')
    expect(stderr).toContain('write scope: worker in dedupe')
    writeFileSync(file, config('{ scope: worker }'))
    const checked = await runSluice(['check', file])
    expect(checked.code).toBe(0)
    expect(checked.stdout).toContain('2 workers share the connections')
    await using running = await RunningSluice.start(config('{ scope: worker }'))
    const port = running.port('scans')
    const peers = await Promise.all([Peer.connect(port), Peer.connect(port)])
    for (const peer of peers) await peer.send('{"id":1}\n').hear('ok\n')
    for (const peer of peers) await peer.finish().end()
    expect(existsSync(join(running.folder, 'sluice-data/worker-2/dedupe-once.db'))).toBe(true)
  })
})
