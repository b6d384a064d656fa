import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { connect as connectTls } from 'node:tls'
import { generate } from 'selfsigned'
import { describe, expect, it } from 'vitest'
import { type Config, ConfigError, createServer, defineSink, type Registry, z } from '../../src/index.ts'
import { addStep, eventually, Gate, registryWith } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { start, temporaryFolder } from '../support/server.ts'

const host = '127.0.0.1'

/** A listener that answers with a word, so that it shows which configuration is in force. */
const answering = (word: string, more: object = {}): Config => ({
  listen: { shell: { host, port: 0, dataflow: [{ reply: `${word} \${msg}` }], ...more } },
})

/** The built-in parts, and a sink whose opening and closing can be watched. */
function withTrace(calls: string[]): Registry {
  const registry = registryWith('none', () => undefined)
  registry.add(
    defineSink({
      name: 'traced',
      summary: 'Tells of its life.',
      options: z.strictObject({ name: z.string(), fails: z.boolean().default(false) }),
      examples: [],
      confirms: () => 'os',
      finished: 'at once',
      create: ({ name, fails }) => {
        if (fails) throw new Error(`${name} cannot be opened`)
        calls.push(`open ${name}`)
        return { write: () => undefined, close: () => void calls.push(`close ${name}`) }
      },
    }),
  )
  return registry
}

describe('reload', () => {
  it('keeps the address and the connections, and the next message goes through the new dataflow', async () => {
    await using running = await start(answering('old'))
    const port = running.port()
    await using peer = await Peer.connect(port)
    await peer.send('1\n').hear('old 1\n')
    const report = await running.server.reload(answering('new'))
    expect(report).toEqual({ added: [], removed: [], changed: ['shell'], unchanged: [], restart: [] })
    expect(await running.event('server.reloaded')).toEqual(report)
    await peer.send('2\n').hear('new 2\n')
    await using other = await Peer.connect(port)
    await other.send('3\n').hear('new 3\n')
    expect(running.port()).toBe(port)
    expect(running.all('listener.closed')).toEqual([])
    expect(running.all('connection.closed')).toEqual([])
  })

  it('leaves a throttle what it has counted, where the step is the same', async () => {
    const limited = (word: string, max: number) => {
      const limit = { throttle: { max, every: '1h', whenFull: 'drop' }, id: 'limit', else: [{ reply: 'too soon' }] }
      return answering('', { dataflow: [limit, { reply: `${word} \${msg}` }] })
    }
    await using running = await start(limited('old', 1))
    await using peer = await Peer.connect(running.port())
    await peer.send('1\n').hear('old 1\n')
    await running.server.reload(limited('new', 1))
    await peer.send('2\n').hear('too soon\n')
    await running.server.reload(limited('newer', 2))
    await peer.send('3\n').hear('newer 3\n')
  })

  it('lets a run that has begun end in the old dataflow, with its onError, and closes the old parts only then', async () => {
    const calls: string[] = []
    const gate = new Gate()
    const registry = addStep(withTrace(calls), 'gate', {
      runBatch: async (batch) => {
        await gate.write(batch)
        throw new Error('it failed')
      },
    })
    const config = (name: string, ...first: object[]) =>
      answering('', {
        dataflow: [...first, { traced: { name } }, { reply: `${name} \${msg}` }],
        onError: [{ reply: `failed in ${name}` }],
      })
    await using running = await start(config('old', { gate: {} }), { registry })
    await using peer = await Peer.connect(running.port())
    peer.send('1\n')
    await gate.entered()
    peer.send('2\n')
    await eventually(() => running.server.endpoints[0]!.counters.bytesIn === 4)
    await running.server.reload(config('new'))
    await using other = await Peer.connect(running.port())
    await other.send('3\n').hear('new 3\n')
    expect(calls).toEqual(['open old', 'open new'])
    gate.open()
    await peer.hear('failed in old\nnew 2\n')
    await eventually(() => calls.length === 3)
    expect(calls).toEqual(['open old', 'open new', 'close old'])
  })

  it('changes framing, format and limits for new connections only', async () => {
    await using running = await start(answering('old'))
    await using before = await Peer.connect(running.port())
    await before.send('1\n').hear('old 1\n')
    await running.server.reload(
      answering('new', { framing: { delimiter: ';' }, format: 'json', limits: { maxFrameLength: '4B' } }),
    )
    await before.send('longer\n').hear('new longer\n')
    await using after = await Peer.connect(running.port())
    await after.send('[1];').hear('new [1];')
    await after.send('[1,2];').end()
    expect((await running.event('connection.closed')).reason).toBe('frame_error')
  })

  it('counts on, also for an endpoint that was away', async () => {
    await using running = await start(answering('old'))
    const conditional = answering('new', { dataflow: [{ filter: 'msg.missing > 1' }], format: 'json' })
    const counters = () => running.server.endpoints.find(({ name }) => name === 'shell')!.counters
    await using peer = await Peer.connect(running.port())
    await peer.send('1\n').hear('old 1\n')
    await running.server.reload(conditional)
    await using json = await Peer.connect(running.port())
    await json.send('{}\n').finish().end()
    expect(counters()).toMatchObject({ messagesIn: 2, dropped: 1, missingValues: 1, opened: 2 })
    await running.server.reload({ listen: { other: { host, port: 0, dataflow: [] } } })
    await running.server.reload(answering('again'))
    await using again = await Peer.connect(running.port())
    await again.send('2\n').hear('again 2\n')
    expect(counters()).toMatchObject({ messagesIn: 3, opened: 3 })
    const ids = running.all('connection.opened').map(({ client }) => client.id)
    expect(ids).toEqual(['shell-1', 'shell-2', 'shell-3'])
  })

  it('adds endpoints, takes others away and drains their connections', async () => {
    const gate = new Gate()
    const registry = registryWith('gate', gate.write)
    const slow = { host, port: 0, dataflow: [{ gate: {} }, { reply: 'OK ${msg}' }] as never }
    const other = { host, port: 0, dataflow: [{ reply: 'other ${msg}' }] }
    await using running = await start({ listen: { slow } }, { registry })
    const port = running.port('slow')
    await using peer = await Peer.connect(port)
    peer.send('1\n')
    await gate.entered()
    peer.send('2\nhalf')
    await eventually(() => running.server.endpoints[0]!.counters.bytesIn === 8)
    const report = await running.server.reload({ listen: { other } })
    expect(report).toMatchObject({ added: ['other'], removed: ['slow'], changed: [], unchanged: [] })
    await expect(Peer.connect(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await using added = await Peer.connect(running.port('other'))
    await added.send('x\n').hear('other x\n')
    expect(running.server.endpoints.map(({ name, connections }) => [name, connections])).toEqual([
      ['other', 1],
      ['slow', 1],
    ])
    gate.open()
    expect(await peer.end()).toBe('OK 1\nOK 2\n')
    expect((await running.event('connection.closed')).reason).toBe('drained')
    await eventually(() => running.server.endpoints.length === 1)
  })

  it('lets an endpoint take another name, and two exchange their ports, without unbinding', async () => {
    using folder = temporaryFolder()
    const [a, b] = [join(folder.path, 'a.sock'), join(folder.path, 'b.sock')]
    const listen = (one: string, other: string) => ({
      listen: {
        one: { socket: one, dataflow: [{ reply: 'one' }] },
        other: { socket: other, dataflow: [{ reply: 'other' }] },
      },
    })
    await using running = await start(listen(a, b))
    await running.server.reload(listen(b, a))
    await using peer = await Peer.connect({ path: b })
    await peer.send('x\n').hear('one\n')
    await running.server.reload({ listen: { renamed: { socket: b, dataflow: [{ reply: 'renamed' }] } } })
    await using renamed = await Peer.connect({ path: b })
    await renamed.send('x\n').hear('renamed\n')
    // Those that came to the endpoint that is gone are drained.
    expect(await peer.end()).toBe('one\n')
    await expect(Peer.connect({ path: a })).rejects.toThrow()
    expect(running.all('listener.closed')).toMatchObject([{ address: { ip: a } }])
  })

  it('changes nothing when the configuration has a mistake, and names all of them', async () => {
    await using running = await start(answering('old'))
    await using peer = await Peer.connect(running.port())
    await peer.send('1\n').hear('old 1\n')
    const wrong = { listen: { shell: { port: 0, framing: 'lines', dataflow: [{ filtre: 'x' }] } } } as never
    const failed = await running.server.reload(wrong).catch((thrown: unknown) => thrown)
    expect(failed).toBeInstanceOf(ConfigError)
    expect((failed as ConfigError).problems.map(({ code }) => code)).toEqual(['STEP_UNKNOWN', 'FRAMING_UNKNOWN'])
    expect((await running.event('server.reloadFailed')).mistakes).toEqual([
      'listen.shell.dataflow[0].filtre STEP_UNKNOWN there is no step or sink filtre → did you mean filter?',
      'listen.shell.framing FRAMING_UNKNOWN there is no framing lines → did you mean line?',
    ])
    await peer.send('2\n').hear('old 2\n')
    expect(running.all('server.reloaded')).toEqual([])
  })

  it('changes nothing when a part cannot be created, or an address is taken; what was opened is closed', async () => {
    const calls: string[] = []
    const taken = createTcpServer().listen(0, host)
    await once(taken, 'listening')
    const { port } = taken.address() as { port: number }
    const config = (name: string, listen: object = {}, fails = false) => ({
      listen: {
        shell: { host, port: 0, dataflow: [{ traced: { name } }, { reply: name }] as never },
        free: { host, port: 0, dataflow: [{ traced: { name: `${name} free`, fails } }] as never },
        ...listen,
      },
    })
    await using running = await start({ listen: { shell: config('old').listen.shell } }, { registry: withTrace(calls) })
    await using peer = await Peer.connect(running.port())
    await expect(running.server.reload(config('bad', {}, true))).rejects.toThrow('bad free cannot be opened')
    const busy = { busy: { host, port, dataflow: [] } }
    await expect(running.server.reload(config('new', busy))).rejects.toMatchObject({ code: 'address_in_use' })
    expect(calls).toEqual([
      'open old',
      'open bad',
      'close bad',
      'open new',
      'open new free',
      'close new free',
      'close new',
    ])
    await peer.send('1\n').hear('old\n')
    expect(running.server.endpoints.map(({ name }) => name)).toEqual(['shell'])
    expect(running.server.address('free')).toBeUndefined()
    expect(running.all('listener.opened')).toHaveLength(1)
    expect(running.all('server.reloadFailed')).toHaveLength(2)
    taken.close()
  })

  it('refuses addresses that cannot be bound beside the old ones, and says so', async () => {
    await using running = await start(answering('old'))
    const port = running.port()
    await running.server.reload(answering('old', { port: 0, host: '127.0.0.2' }))
    await using other = await Peer.connect({ host: '127.0.0.2', port: running.port() })
    await other.send('1\n').hear('old 1\n')
    await expect(Peer.connect(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    const fixed = running.port()
    await running.server.reload(answering('old', { port: fixed, host }))
    const everywhere = running.server.reload(answering('old', { port: fixed, host: undefined }))
    await expect(everywhere).rejects.toMatchObject({
      code: 'address_in_use',
      message: `shell: *:${fixed} and ${host}:${fixed}, where shell listens now, exclude each other`,
    })
    await using still = await Peer.connect(fixed)
    await still.send('2\n').hear('old 2\n')
  })

  it('uses a new certificate for new handshakes only', async () => {
    using folder = temporaryFolder()
    const [cert, key] = [join(folder.path, 'cert.pem'), join(folder.path, 'key.pem')]
    const issue = async () => {
      const made = await generate([{ name: 'commonName', value: 'localhost' }])
      writeFileSync(cert, made.cert)
      writeFileSync(key, made.private)
      return made.cert
    }
    const handshake = async (ca: string) => {
      const socket = connectTls({ port: running.port(), host, ca, servername: 'localhost' })
      await once(socket, 'secureConnect')
      return Peer.over(socket)
    }
    const first = await issue()
    const config = answering('', { tls: { cert, key } })
    await using running = await start(config)
    await using before = await handshake(first)
    await before.send('1\n').hear('1\n')
    expect((await running.server.reload(config)).unchanged).toEqual(['shell'])
    const second = await issue()
    expect((await running.server.reload(config)).changed).toEqual(['shell'])
    await before.send('2\n').hear('2\n')
    await expect(handshake(first)).rejects.toThrow()
    await using after = await handshake(second)
    await after.send('3\n').hear('3\n')
  })

  it('keeps open what both configurations use: a database, a file, a connection', async () => {
    const received: string[] = []
    let connections = 0
    const collector = createTcpServer((socket) => {
      connections++
      socket.on('data', (chunk) => received.push(String(chunk)))
    }).listen(0, host)
    await once(collector, 'listening')
    const { port } = collector.address() as { port: number }
    const config = (word: string) =>
      answering(word, {
        dataflow: [
          { sqlite: { file: 'rows.db', table: 'rows', columns: { value: 'msg' } } },
          { file: 'lines.txt' },
          { tcp: { host, port } },
          { reply: word },
        ],
      })
    await using running = await start(config('old'))
    await using peer = await Peer.connect(running.port())
    await peer.send('1\n').hear('old\n')
    await running.server.reload(config('new'))
    await peer.send('2\n').hear('new\n')
    await eventually(() => received.join('') === '1\n2\n')
    expect(connections).toBe(1)
    await running.server.stop()
    using database = new DatabaseSync(join(running.folder, 'rows.db'), { readOnly: true })
    expect(database.prepare('SELECT value FROM rows').all()).toEqual([{ value: '1' }, { value: '2' }])
    collector.close()
  })

  it('goes to the new address of a device, and leaves others connected', async () => {
    const heard: string[] = []
    const device = async (name: string) => {
      const server = createTcpServer((socket) => void socket.on('data', (chunk) => heard.push(`${name} ${chunk}`)))
      await once(server.listen(0, host), 'listening')
      return { server, port: (server.address() as { port: number }).port }
    }
    const [first, second, stays] = await Promise.all(['first', 'second', 'stays'].map(device))
    const connect = (port: number, every: string, send = 'a'): Config => ({
      connect: {
        moved: { host, port, poll: { every, send }, reconnect: { first: '10ms' }, dataflow: [] },
        stays: { host, port: stays!.port, poll: { every, send: 'x' }, dataflow: [] },
      },
    })
    await using running = await start(connect(first!.port, '1h'))
    await eventually(() => heard.length === 2)
    await running.server.reload(connect(second!.port, '2h', 'b'))
    await eventually(() => heard.length === 4)
    expect(heard.sort()).toEqual(['first a\n', 'second b\n', 'stays x\n', 'stays x\n'])
    const closed = running.all('connection.closed')
    expect(closed.map(({ client, reason }) => [client.endpoint, reason])).toEqual([['moved', 'drained']])
    for (const { server } of [first!, second!, stays!]) server.close()
  })

  it('delivers from a buffer in memory, and from the one on disk that takes its place', async () => {
    const buffered = (buffer: 'disk' | 'memory', word: string) =>
      answering(word, { dataflow: [{ id: 'kept', file: { path: 'lines.txt', buffer } }, { reply: word }] } as never)
    await using running = await start(buffered('memory', 'old'))
    await using peer = await Peer.connect(running.port())
    await peer.send('1\n').hear('old\n')
    await running.server.reload(buffered('memory', 'new'))
    await peer.send('2\n').hear('new\n')
    await running.server.reload(buffered('disk', 'third'))
    await peer.send('3\n').until(({ text }) => text === 'old\nnew\nthird\n')
    await eventually(() => running.server.buffers[0]!.messages === 0)
    await running.server.stop()
    expect(readFileSync(join(running.folder, 'lines.txt'), 'utf8').split('\n').sort()).toEqual(['', '1', '2', '3'])
  })

  it('tells what needs a restart, again and again', async () => {
    await using running = await start(answering('old'))
    const next: Config = {
      ...answering('old', { backlog: 7, keepAlive: '5s' }),
      data: { dir: 'elsewhere' },
      log: { level: 'debug' },
      admin: 0,
    }
    const restart = ['admin', 'log', 'data', 'listen.shell.backlog', 'listen.shell.keepAlive']
    expect((await running.server.reload(next)).restart).toEqual(restart)
    expect((await running.server.reload(next)).restart).toEqual(restart)
    expect((await running.server.reload(answering('old'))).restart).toEqual([])
  })

  it('does two at once one after the other, and none before the start or after the stop', async () => {
    const server = createServer(answering('old'))
    await expect(server.reload(answering('new'))).rejects.toThrow('this one is new')
    await using running = await start(answering('old'))
    const words = ['a', 'b', 'c']
    await Promise.all(words.map((word) => running.server.reload(answering(word))))
    await using peer = await Peer.connect(running.port())
    await peer.send('1\n').hear('c 1\n')
    expect(running.all('server.reloaded')).toHaveLength(3)
    await running.server.stop()
    await expect(running.server.reload(answering('late'))).rejects.toThrow('this one is stopped')
  })

  it('gives way to a stop, and closes what it had opened', async () => {
    const calls: string[] = []
    const registry = withTrace(calls)
    const ready = Promise.withResolvers<void>()
    const creating = Promise.withResolvers<void>()
    registry.add(
      defineSink({
        name: 'slow-start',
        summary: 'Is ready when the test says so.',
        options: z.strictObject({}),
        examples: [],
        confirms: () => 'os',
        finished: 'at once',
        create: async () => {
          creating.resolve()
          await ready.promise
          return { write: () => undefined, close: () => void calls.push('close slow') }
        },
      }),
    )
    await using running = await start(answering('', { dataflow: [{ traced: { name: 'old' } }] }), { registry })
    const reloaded = running.server.reload(answering('', { dataflow: [{ 'slow-start': {} }] }))
    reloaded.catch(() => undefined)
    await creating.promise
    const stopped = running.server.stop()
    ready.resolve()
    await expect(reloaded).rejects.toThrow('the server is stopping')
    await stopped
    expect(calls.sort()).toEqual(['close old', 'close slow', 'open old'])
  })
})

describe('reload under load', () => {
  it('drops nobody, refuses nobody, and answers everything once', async () => {
    await using running = await start(loaded('a'))
    const port = running.port()
    const peers = await Promise.all(Array.from({ length: 100 }, () => Peer.connect(port)))
    const asked = new Map<Peer, number>()
    let reloading = true
    const talk = async (peer: Peer) => {
      for (let n = 1; reloading; n++) {
        asked.set(peer, n)
        peer.send(`${n}\n`)
        await peer.until(({ text }) => text.endsWith(` ${n}\n`))
      }
    }
    const talking = Promise.all(peers.map(talk))
    const visits: Promise<string>[] = []
    const visit = async () => {
      await using peer = await Peer.connect(port)
      return await peer.send('1\n').hear(' 1\n')
    }
    const coming = setInterval(() => visits.push(visit()), 10)
    const counters = () => running.server.endpoints[0]!.counters.messagesIn
    for (let round = 0; round < 20; round++) {
      await running.server.reload(loaded(round % 2 === 0 ? 'b' : 'a'))
      // So that there is work between two reloads.
      const before = counters()
      await eventually(() => counters() > before + 200)
    }
    clearInterval(coming)
    reloading = false
    await talking
    expect(visits.length).toBeGreaterThan(0)
    for (const answer of await Promise.all(visits)) expect(answer).toMatch(/^[ab] 1\n$/)
    for (const peer of peers) {
      const answers = peer.text.trimEnd().split('\n')
      expect(answers.map((answer) => answer.slice(2))).toEqual(
        Array.from({ length: asked.get(peer)! }, (_, i) => String(i + 1)),
      )
      expect(answers.every((answer) => /^[ab] /.test(answer))).toBe(true)
      expect(peer.closed).toBe(false)
    }
    const total = [...asked.values()].reduce((sum, n) => sum + n, 0) + visits.length
    expect(counters()).toBe(total)
    expect(running.all('connection.refused')).toEqual([])
    expect(running.all('listener.closed')).toEqual([])
    expect(running.all('reply.lost')).toEqual([])
    for (const peer of peers) await peer[Symbol.asyncDispose]()
    await running.server.stop()
    using database = new DatabaseSync(join(running.folder, 'rows.db'), { readOnly: true })
    expect(database.prepare('SELECT count(*) AS stored FROM rows').get()).toEqual({ stored: total })
  })
})

/** Stores each message and answers with the name of the configuration. */
function loaded(word: string): Config {
  return answering(word, {
    dataflow: [{ sqlite: { file: 'rows.db', table: 'rows', columns: { value: 'msg' } } }, { reply: `${word} \${msg}` }],
  })
}
