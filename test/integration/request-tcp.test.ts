import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { generate } from 'selfsigned'
import { describe, expect, it } from 'vitest'
import { describePlan } from '../../src/config/promise.ts'
import { readPlan } from '../../src/config/read-plan.ts'
import { freePort } from '../support/free-port.ts'
import { Peer } from '../support/peer.ts'
import { startPlainServer, startSlowServer } from '../support/plain-server.ts'
import { start, temporaryFolder } from '../support/server.ts'

type Given = Readonly<Record<string, unknown>>

/** A server that answers each line with what a TCP service has said to it. */
function asking(tcp: Given, more: Given = {}, listen: Given = {}) {
  const dataflow = [{ request: { to: { tcp }, text: '${msg}', timeout: '5s', ...more } }, { reply: { value: 'msg' } }]
  const onError = [{ reply: '${error.code} ${error.retryable}: ${error.message}' }]
  return start({ listen: { shell: { port: 0, dataflow, onError, ...listen } } } as never)
}

async function ask(port: number, lines: string): Promise<string> {
  await using peer = await Peer.connect(port)
  return await peer.send(lines).finish().end()
}

/** A server of Node that sees bytes. */
async function listen(onSocket: (socket: Socket) => void, server: Server = createServer(), event = 'connection') {
  const sockets = new Set<Socket>()
  server.on(event, (socket: Socket) => {
    sockets.add(socket.on('error', () => undefined))
    onSocket(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    at: { host: '127.0.0.1', port: (server.address() as { port: number }).port },
    sockets,
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

describe('request to a TCP service', () => {
  it('asks on one connection, which is kept, and goes on with the answers', async () => {
    await using service = await startPlainServer((line) => `<${line}>`)
    await using running = await asking(service.at)
    expect(await ask(running.port(), 'a\nb\n')).toBe('<a>\n<b>\n')
    expect(await ask(running.port(), 'c\n')).toBe('<c>\n')
    expect(service.accepted).toBe(1)
    expect(service.lines).toEqual(['a', 'b', 'c'])
  })

  it('puts the answer beside what is there, in a format and framing of its own', async () => {
    await using service = await startPlainServer((line) => JSON.stringify({ twice: JSON.parse(line).n * 2 }))
    await using running = await asking(
      { ...service.at, format: 'json' },
      { text: undefined, value: '{"n": num(msg)}', into: 'service' },
    )
    const dataflowGives = await ask(running.port(), '4\n')
    expect(JSON.parse(dataflowGives)).toEqual({ value: '4', service: { twice: 8 } })
  })

  const framings = [
    ['line', Buffer.from('ok\r\n')],
    [{ 'length-prefix': { bytes: 2 } }, Buffer.from('\0\x02ok')],
    [{ 'start-end': { start: '\\x02', end: '\\x03' } }, Buffer.from('\x02ok\x03')],
  ] as const
  it.each(framings)('reads an answer in %j, split behind every byte', async (framing, answer) => {
    let at = 0
    await using service = await listen((socket) => {
      socket.setNoDelay().on('data', async () => {
        const cut = at++
        socket.write(answer.subarray(0, cut))
        for (let turns = 0; turns < 3; turns++) await new Promise(setImmediate)
        socket.write(answer.subarray(cut))
      })
    })
    await using running = await asking({ ...service.at, framing })
    const lines = 'q\n'.repeat(answer.length)
    expect(await ask(running.port(), lines)).toBe('ok\n'.repeat(answer.length))
    expect(service.sockets.size).toBe(1)
  })

  it('asks one question at a time without match, whoever asks', async () => {
    await using service = await startSlowServer()
    await using running = await asking(service.at)
    await using one = await Peer.connect(running.port())
    await using other = await Peer.connect(running.port())
    one.send('first\n')
    await service.until(({ lines }) => lines.length === 1)
    other.send('second\n')
    await service.answer('first', '1')
    await one.hear('1\n')
    await service.answer('second', '2')
    await other.hear('2\n')
    expect(service.accepted).toBe(1)
  })

  it('takes answers in the order of the questions where several may be under way', async () => {
    await using service = await startPlainServer()
    await using running = await asking({ ...service.at, maxInFlight: 2 })
    await using one = await Peer.connect(running.port())
    await using other = await Peer.connect(running.port())
    one.send('first\n')
    await service.until(({ lines }) => lines.length === 1)
    other.send('second\n')
    await service.until(({ lines }) => lines.length === 2)
    for (const socket of service.sockets) socket.write('1\n2\n')
    await one.hear('1\n')
    await other.hear('2\n')
  })

  it('takes answers in any order with match, and drops what answers nothing', async () => {
    await using service = await startSlowServer()
    await using running = await asking(service.at, { match: 'answer.startsWith(msg)' })
    const peers = await Promise.all(['a', 'b', 'c'].map(() => Peer.connect(running.port())))
    for (const [i, peer] of peers.entries()) peer.send(`${'abc'[i]}\n`)
    await service.until(({ lines }) => lines.length === 3)
    await service.answer('c', 'noise\nc!')
    await service.answer('a', 'a!')
    await service.answer('b', 'b!')
    for (const [i, peer] of peers.entries()) await peer.hear(`${'abc'[i]}!\n`)
    expect(service.accepted).toBe(1)
    for (const peer of peers) await peer[Symbol.asyncDispose]()
  })

  it('opens as many connections as it may', async () => {
    await using service = await startSlowServer()
    await using running = await asking({ ...service.at, connections: 2 })
    const peers = await Promise.all(['a', 'b', 'c'].map(() => Peer.connect(running.port())))
    for (const [i, peer] of peers.entries()) peer.send(`${'abc'[i]}\n`)
    await service.until(({ lines }) => lines.length === 2)
    const [first, second] = service.lines
    await service.answer(second!)
    await service.answer(first!)
    const last = ['a', 'b', 'c'].find((line) => line !== first && line !== second)!
    await service.answer(last)
    await Promise.all(peers.map((peer, i) => peer.hear(`${'abc'[i]}\n`)))
    expect(service.accepted).toBe(2)
    for (const peer of peers) await peer[Symbol.asyncDispose]()
  })

  it('fails without an answer in time, and takes none for that to the next question', async () => {
    await using service = await startSlowServer()
    await using running = await asking(service.at, { timeout: '1s' })
    await using peer = await Peer.connect(running.port())
    const where = `127.0.0.1:${service.at.port}`
    await peer.send('a\n').hear(`request_failed true: ${where}: no answer came within 1000 ms\n`)
    peer.send('b\n')
    await service.until(({ lines }) => lines.includes('b'))
    await service.answer('a', 'late')
    await service.answer('b', 'right')
    await peer.hear('right\n')
    expect(peer.text).not.toContain('late')
    expect(service.accepted).toBe(2)
  })

  it('keeps the connection and the other questions when one with match gets no answer', async () => {
    await using service = await startSlowServer()
    await using running = await asking(service.at, { match: 'answer.startsWith(msg)', timeout: '1s' })
    await using peer = await Peer.connect(running.port())
    await peer.send('a\n').hear('no answer came within 1000 ms')
    // The same question again: the answer belongs to it.
    peer.send('a\n')
    await service.until(({ lines }) => lines.length === 2)
    await service.answer('a', 'a!')
    await peer.hear('a!\n')
    expect(service.accepted).toBe(1)
  })

  it('says why it could not compare', async () => {
    await using service = await startPlainServer(() => 'no number')
    await using running = await asking(service.at, { match: 'num(answer) > 3', timeout: '1s' })
    expect(await ask(running.port(), 'a\n')).toMatch(
      /no answer came within 1000 ms; the last message could not be compared: /,
    )
  })

  it('fails when the connection ends before the answer, does not ask twice, and connects again', async () => {
    let times = 0
    await using service = await startPlainServer((line, socket) => {
      if (times++ > 0) return line
      socket.destroy()
      return undefined
    })
    await using running = await asking(service.at)
    const [first, second] = (await ask(running.port(), 'a\nb\n')).split('\n')
    expect(first).toMatch(/^request_failed true: 127\.0\.0\.1:\d+: the connection ended before the answer: /)
    expect(second).toBe('b')
    expect(service.lines).toEqual(['a', 'b'])
  })

  it('fails when the connection ends in the middle of an answer', async () => {
    await using service = await listen((socket) => socket.on('data', () => socket.end('hal')))
    await using running = await asking(service.at)
    expect(await ask(running.port(), 'a\n')).toMatch(
      /^request_failed false: the answer of 127\.0\.0\.1:\d+ cannot be read: the connection ended in mid-frame\n$/,
    )
  })

  it('waits for a service that is not there until its time is over, and says what is wrong', async () => {
    await using running = await asking({ host: '127.0.0.1', port: await freePort() }, { timeout: '1500ms' })
    await using peer = await Peer.connect(running.port())
    await peer.send('a\n').hear('\n')
    expect(peer.text).toMatch(/^request_failed true: nothing listens on 127\.0\.0\.1:\d+ \(connection refused\)\n$/)
    const { text } = await running.event('part.logged', ({ level }) => level === 'warn')
    expect(text).toMatch(/^nothing listens on .*; it is tried again$/)
  })

  it('asks a service that comes while it waits', async () => {
    const port = await freePort()
    await using running = await asking({ host: '127.0.0.1', port }, { timeout: '20s' })
    await using peer = await Peer.connect(running.port())
    peer.send('a\n')
    await running.event('part.logged', ({ level }) => level === 'warn')
    const server = createServer((socket) => socket.on('error', () => undefined).pipe(socket)).listen(port, '127.0.0.1')
    await peer.hear('a\n')
    await running.event('part.logged', ({ text }) => text === `127.0.0.1:${port} can be reached again`)
    server.close()
  })

  it('is given up when the step has not finished in its time, and the next is asked on a new connection', async () => {
    await using service = await startSlowServer()
    const request = { to: { tcp: service.at }, text: '${msg}', timeout: '1m' }
    const dataflow = [{ request, timeout: '1s' }, { reply: '${msg}' }]
    await using running = await start({
      listen: { shell: { port: 0, dataflow, onError: [{ reply: '${error.code}' }] } },
    } as never)
    await using peer = await Peer.connect(running.port())
    await peer.send('a\n').hear('step_timeout\n')
    await service.until(({ sockets }) => sockets.size === 0)
    peer.send('b\n')
    await service.answer('b')
    await peer.hear('b\n')
  })

  it('gives each question a connection of its own where that is wanted, one after the other', async () => {
    let open = 0
    let most = 0
    await using service = await startPlainServer(
      (line, socket) => {
        // It closes behind its answer, but not with it.
        setImmediate(() => setImmediate(() => socket.end()))
        return `<${line}>`
      },
      (socket) => {
        most = Math.max(most, ++open)
        socket.on('close', () => open--)
      },
    )
    await using running = await asking({ ...service.at, connection: 'perMessage' })
    expect(await ask(running.port(), 'a\nb\nc\nd\n')).toBe('<a>\n<b>\n<c>\n<d>\n')
    expect([service.accepted, most]).toEqual([4, 1])
    expect(running.all('part.logged')).toEqual([])
  })

  it('gives up a connection of its own, made or not, when its time is over', async () => {
    await using service = await startSlowServer()
    await using running = await asking({ ...service.at, connection: 'perMessage' }, { timeout: '1s' })
    await using peer = await Peer.connect(running.port())
    await peer.send('a\n').hear('no answer came within 1000 ms')
    peer.send('b\n')
    await service.answer('b', 'fine')
    await peer.hear('fine\n')
    const { at } = service
    await service[Symbol.asyncDispose]()
    await peer.send('c\n').hear(`request_failed true: nothing listens on 127.0.0.1:${at.port}`)
    await expect(asking({ ...at, connection: 'perMessage', maxInFlight: 2 })).rejects.toThrow(
      /one question on each connection/,
    )
  })

  it('reads an answer that ends with the connection', async () => {
    await using service = await listen((socket) => socket.on('data', (bytes) => socket.end(`${bytes}: all of it`)))
    const framing = { 'until-close': { streamAbove: 'off' } }
    await using running = await asking({ ...service.at, framing })
    expect(await ask(running.port(), 'a\nb\n')).toBe('a: all of it\nb: all of it\n')
    await expect(asking({ ...service.at, framing: 'until-close' })).rejects.toThrow(/in pieces/)
  })

  it('refuses an answer that is too long, and one that is not in the format', async () => {
    await using service = await startPlainServer((line) => (line === 'long' ? 'x'.repeat(101) : '{'))
    await using running = await asking({ ...service.at, format: 'json', maxAnswer: 100 })
    const [first, second] = (await ask(running.port(), 'long\nb\n')).split('\n')
    expect(first).toMatch(/^request_failed false: the answer of .* cannot be read: a frame is longer than 100 bytes/)
    expect(second).toMatch(/^request_failed false: the answer of .* cannot be read: /)
    expect(service.accepted).toBe(2)
  })

  it('sends bytes as they are, and says what cannot be sent', async () => {
    await using service = await startPlainServer((line) => Buffer.from(line, 'latin1').toString('hex'))
    await using running = await asking(service.at, { text: undefined, raw: '\\x01${msg}\\n' })
    expect(await ask(running.port(), 'a\n')).toBe('0161\n')
    await using failing = await asking(
      { ...service.at, framing: { netstring: {} }, format: 'bytes' },
      { text: undefined, value: '7' },
    )
    expect(await ask(failing.port(), 'a\n')).toMatch(/^format_not_printable false: /)
  })

  it('speaks TLS, and believes the authority that is named and nobody else', async () => {
    using folder = temporaryFolder()
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
      extensions: [
        { name: 'basicConstraints', cA: true },
        { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
      ],
    })
    const ca = join(folder.path, 'ca.pem')
    writeFileSync(ca, cert)
    await using service = await listen(
      (socket) => socket.pipe(socket),
      createTlsServer({ cert, key }),
      'secureConnection',
    )
    const at = { host: 'localhost', port: service.at.port }
    await using running = await asking({ ...at, tls: { ca } })
    expect(await ask(running.port(), 'a\n')).toBe('a\n')
    await using doubting = await asking({ ...at, tls: true }, { timeout: '2s' })
    expect(await ask(doubting.port(), 'a\n')).toMatch(
      /^request_failed true: localhost:\d+ cannot be reached: .*certificate/,
    )
    await expect(asking({ ...at, tls: { ca: join(folder.path, 'no.pem') } })).rejects.toThrow(/no\.pem does not exist/)
  })

  it('ends with the server, also while it waits', async () => {
    await using service = await startSlowServer()
    const running = await asking(service.at, { timeout: '1m' })
    await using peer = await Peer.connect(running.port())
    peer.send('a\n')
    await service.until(({ lines }) => lines.length === 1)
    await running.server.stop({ deadline: 50 })
    await service.until(({ sockets }) => sockets.size === 0)
    await running[Symbol.asyncDispose]()
  })

  it('check says whom it asks', async () => {
    using folder = temporaryFolder()
    const file = join(folder.path, 'sluice.yaml')
    const step = 'request: { to: { tcp: { host: "::1", port: 4000 } }, text: "${msg}", timeout: 5s }'
    writeFileSync(file, `listen: { shell: { port: 0, dataflow: [ ${step} ] } }`)
    const { plan, report } = await readPlan(file, {})
    expect(report).toBe('')
    expect(describePlan(plan!).join('\n')).toContain(
      'asks the TCP service [::1]:4000 and waits up to 5 s for its answer',
    )
  })

  it('is refused where it makes no sense, with the place', async () => {
    const at = { host: 'h', port: 1 }
    await expect(asking({ port: 1 })).rejects.toThrow(/to\.tcp needs host/)
    await expect(asking({ ...at, socket: '/s' })).rejects.toThrow(/give host and port, or socket, and not both/)
    await expect(asking(at, { raw: 'b' })).rejects.toThrow(/only one of text and raw/)
    await expect(asking(at, { text: undefined })).rejects.toThrow(/one of text, value and raw is needed/)
    await expect(asking({ ...at, prot: 2 })).rejects.toThrow(/has no option prot/)
  })
})
