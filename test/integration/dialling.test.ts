import dns, { type LookupAddress } from 'node:dns'
import { once } from 'node:events'
import { createServer, isIP, type Server, type Socket } from 'node:net'
import { describe, expect, it, vi } from 'vitest'
import { freePort } from '../support/free-port.ts'
import { addStep, eventually, registryWith } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { start } from '../support/server.ts'

/** How a lookup tells what it has found. */
type Looked = (error: null, addresses: readonly LookupAddress[]) => void

const reconnect = { first: '5ms', max: '20ms' }

/** A device: accepts on a port and answers as the test says. */
async function device(port: number, onSocket: (socket: Socket) => void): Promise<Server & AsyncDisposable> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    onSocket(socket)
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(server, {
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of sockets) socket.destroy()
      if (server.listening) await once(server, 'close')
    },
  })
}

function portOf(server: Server): number {
  return (server.address() as { port: number }).port
}

describe('a connect endpoint', () => {
  it('tries again after a refusal, and connects when the device is there', async () => {
    const port = await freePort()
    await using running = await start({
      connect: { scale: { host: '127.0.0.1', port, reconnect, dataflow: [{ reply: 'got ${msg}' }] } },
    })
    await eventually(() => running.all('dial.failed').length >= 3)
    const [failed] = running.all('dial.failed')
    expect(failed).toMatchObject({
      endpoint: 'scale',
      target: `127.0.0.1:${port}`,
      error: { code: 'connection_refused' },
    })
    expect(running.all('dial.failed').every(({ retryIn }) => retryIn >= 1 && retryIn <= 20)).toBe(true)
    let heard = ''
    await using _device = await device(port, (socket) => {
      socket.write('12.5 kg\n')
      socket.on('data', (chunk) => {
        heard += chunk
      })
    })
    await eventually(() => heard === 'got 12.5 kg\n')
    expect(running.server.endpoints[0]!.connections).toBe(1)
    expect(running.server.clients.list('scale')).toMatchObject([{ ip: '127.0.0.1', port }])
  })

  it('connects again after a close or a reset, with one connection at a time', async () => {
    let count = 0
    await using scale = await device(0, (socket) => {
      count++
      if (count === 1) socket.end('bye\n')
      else if (count === 2) setImmediate(() => socket.resetAndDestroy())
      else socket.write('here\n')
    })
    await using running = await start({
      connect: { scale: { host: '127.0.0.1', port: portOf(scale), reconnect, dataflow: [{ log: '${msg}' }] } },
    })
    await running.event('part.logged', ({ text }) => text === 'here')
    expect(running.all('part.logged').map(({ text }) => text)).toEqual(['bye', 'here'])
    expect(running.all('connection.closed').map(({ reason }) => reason)).toEqual(['client_closed', 'client_reset'])
    const comings = running.events.map(({ name }) => name).filter((name) => /^connection\.(opened|closed)$/.test(name))
    expect(comings.map((name) => name.slice(11))).toEqual(['opened', 'closed', 'opened', 'closed', 'opened'])
  })

  it('looks its host name up again at every attempt', async () => {
    await using running = await start({
      connect: { scale: { host: 'no-such-host.invalid', port: 9, reconnect, dataflow: [{ log: 'x' }] } },
    })
    await eventually(() => running.all('dial.failed').length >= 2)
    expect(running.all('dial.failed').every(({ error }) => error.code === 'host_unknown')).toBe(true)
  })

  it('finds a device whose name has moved to another address', async () => {
    await using scale = await device(0, (socket) => socket.write('here\n'))
    const addresses = ['::1', '127.0.0.1']
    const looked: string[] = []
    const lookup = vi.spyOn(dns, 'lookup').mockImplementation(((name: string, _: unknown, tell: Looked) => {
      const address = addresses[Math.min(looked.push(name), addresses.length) - 1]!
      tell(null, [{ address, family: isIP(address) }])
    }) as never)
    try {
      await using running = await start({
        connect: { scale: { host: 'scale.test', port: portOf(scale), reconnect, dataflow: [{ log: '${msg}' }] } },
      })
      await running.event('part.logged', ({ text }) => text === 'here')
      expect(looked).toEqual(['scale.test', 'scale.test'])
      expect(running.all('dial.failed')).toHaveLength(1)
      expect(running.server.clients.list('scale')).toMatchObject([{ ip: '127.0.0.1', port: portOf(scale) }])
    } finally {
      lookup.mockRestore()
    }
  })

  it('closes its connection and dials no more when the server stops', async () => {
    let count = 0
    const closed = Promise.withResolvers<void>()
    await using scale = await device(0, (socket) => {
      count++
      socket
        .on('end', () => socket.end())
        .on('close', () => closed.resolve())
        .resume()
    })
    await using running = await start({
      connect: {
        scale: { host: '127.0.0.1', port: portOf(scale), reconnect, dataflow: [{ log: 'x' }] },
        away: {
          host: '127.0.0.1',
          port: await freePort(),
          reconnect: { first: '1h', max: '1h' },
          dataflow: [{ log: 'x' }],
        },
      },
    })
    await running.event('connection.opened')
    await running.event('dial.failed')
    await running.server.stop()
    await closed.promise
    expect((await running.event('connection.closed')).reason).toBe('drained')
    expect(count).toBe(1)
  })
})

describe('a poll', () => {
  it('is sent at once and at its interval, framed, never while the last is open', async () => {
    let asked = 0
    let answered = 0
    let most = 0
    await using scale = await device(0, (socket) => {
      socket.on('data', (chunk) => {
        asked += chunk.toString().split('R\n').length - 1
        most = Math.max(most, asked - answered)
        // Slower than the interval.
        setTimeout(() => {
          answered = asked
          socket.write(`${asked}\n`)
        }, 35)
      })
    })
    const poll = { every: '10ms', send: 'R', timeout: '10s' }
    await using running = await start({
      connect: { scale: { host: '127.0.0.1', port: portOf(scale), poll, dataflow: [{ log: '${msg}' }] } },
    })
    await running.event('part.logged', ({ text }) => text === '4')
    expect(most).toBe(1)
    expect(running.all('part.logged').map(({ text }) => text)).toEqual(['1', '2', '3', '4'])
    expect(running.all('poll.timedOut')).toEqual([])
  })

  it('without an answer is told of, and asked again', async () => {
    let asked = 0
    await using scale = await device(0, (socket) => {
      socket.on('data', () => {
        if (++asked === 3) socket.write('at last\n')
      })
    })
    const poll = { every: '10ms', send: '\\x05', timeout: '15ms' }
    await using running = await start({
      connect: { scale: { host: '127.0.0.1', port: portOf(scale), poll, dataflow: [{ log: '${msg}' }] } },
    })
    await running.event('part.logged', ({ text }) => text === 'at last')
    // On a slow machine the answer may be late, too.
    expect(running.all('poll.timedOut').length).toBeGreaterThanOrEqual(2)
  })

  describe('and a request without a match', () => {
    const ask = (port: number) => ({
      port,
      dataflow: [{ request: { to: { endpoint: 'scale' }, text: 'get ${msg}' } }, { reply: '${msg}' }],
    })

    it('wait for each other', async () => {
      const came = Promise.withResolvers<Peer>()
      await using server = await device(0, (socket) => came.resolve(Peer.over(socket)))
      // Another device shows that time for some polls has passed.
      let polled = 0
      await using other = await device(0, (socket) => {
        socket.on('data', () => {
          polled++
          socket.write('x\n')
        })
      })
      const poll = { every: '10ms', send: 'R', timeout: '1m' }
      const to = (target: Server) => ({ host: '127.0.0.1', port: portOf(target), poll, dataflow: [{ log: '${msg}' }] })
      await using running = await start({
        connect: { scale: to(server), other: to(other) },
        listen: { people: ask(0) },
      } as never)
      const somePolls = () => {
        const enough = polled + 5
        return eventually(() => polled > enough)
      }
      const scale = await came.promise
      await scale.hear('R\n')
      await using person = await Peer.connect(running.port('people'))
      person.send('kg\n')
      await somePolls()
      expect(scale.text).toBe('R\n')
      scale.send('polled\n')
      await scale.hear('get kg\n')
      await somePolls()
      expect(scale.text).toBe('R\nget kg\n')
      scale.send('7\n')
      expect(await person.hear('\n')).toBe('7\n')
      await running.event('part.logged', ({ text }) => text === 'polled')
      await scale.hear('R\nget kg\nR\n')
      expect(running.all('poll.timedOut')).toEqual([])
    })

    it('have each their own answer, also where answers to polls wait for their turn', async () => {
      let polls = 0
      await using server = await device(0, (socket) => {
        socket.on('data', (chunk) => {
          for (const question of chunk.toString().trimEnd().split('\n')) {
            socket.write(question === 'R' ? `${++polls}\n` : `answer to ${question}\n`)
          }
        })
      })
      const opened = Promise.withResolvers<void>()
      const registry = addStep(
        registryWith('held', () => {}),
        'gate',
        {
          run: (message) => opened.promise.then(() => message),
        },
      )
      const poll = { every: '5ms', send: 'R', timeout: '1m' }
      await using running = await start(
        {
          connect: {
            scale: { host: '127.0.0.1', port: portOf(server), poll, dataflow: [{ gate: {} }, { log: '${msg}' }] },
          },
          listen: { people: ask(0) },
        } as never,
        { registry },
      )
      await eventually(() => polls > 3)
      await using person = await Peer.connect(running.port('people'))
      for (const question of ['kg', 'lb', 'st']) await person.send(`${question}\n`).hear(`answer to get ${question}\n`)
      opened.resolve()
      await running.event('part.logged', ({ text }) => text === '4')
      expect(
        running
          .all('part.logged')
          .map(({ text }) => text)
          .slice(0, 4),
      ).toEqual(['1', '2', '3', '4'])
      expect(person.text).toBe('answer to get kg\nanswer to get lb\nanswer to get st\n')
    })

    it('do not wait for longer than the poll has time', async () => {
      await using server = await device(0, (socket) => {
        socket.on('data', (chunk) => {
          if (chunk.includes('get')) socket.write('7\n')
        })
      })
      const poll = { every: '10s', send: 'R', timeout: '20ms' }
      await using running = await start({
        connect: { scale: { host: '127.0.0.1', port: portOf(server), poll, dataflow: [] } },
        listen: { people: ask(0) },
      } as never)
      await eventually(() => running.server.clients.list('scale').length === 1)
      await using person = await Peer.connect(running.port('people'))
      expect(await person.send('kg\n').hear('\n')).toBe('7\n')
    })
  })
})
