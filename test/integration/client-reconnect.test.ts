import { describe, expect, it } from 'vitest'
import { type Connection, type ConnectionEventMap, connect, format, SluiceError } from '../../src/index.ts'
import { startFaultProxy } from '../faults/fault-proxy.ts'
import { startPlainServer, startSlowServer } from '../support/plain-server.ts'

/** Waits of a few milliseconds. */
const retry = { backoff: { first: 5, max: 20 } }

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'nothing',
    (thrown: SluiceError) => thrown.code,
  )

/** Resolves when a connection tells something. */
function next<Name extends keyof ConnectionEventMap>(
  connection: Pick<Connection<unknown>, 'events'>,
  name: Name,
): Promise<ConnectionEventMap[Name]> {
  return new Promise((resolve) => {
    const forget = connection.events.on(name, (event) => {
      forget()
      resolve(event)
    })
  })
}

describe('connect with retry', () => {
  it('tries as often as it is told, and says how often that was', async () => {
    await using server = await startPlainServer()
    await using proxy = await startFaultProxy({ to: server.at })
    await proxy.set({ refuse: true })
    const { port } = proxy
    const error = await connect({ host: '127.0.0.1', port, retry: { attempts: 3, ...retry } }).catch((one) => one)
    expect(error).toMatchObject({ code: 'connection_refused', attempts: 3 })
    expect(error.message).toBe(`nothing listens on 127.0.0.1:${port} (connection refused); tried 3 times`)
  })

  it('goes on until somebody listens', async () => {
    await using server = await startPlainServer((line) => line)
    await using proxy = await startFaultProxy({ to: server.at })
    await proxy.set({ refuse: true })
    const { port } = proxy
    const connecting = connect({ host: '127.0.0.1', port, retry: { attempts: Number.POSITIVE_INFINITY, ...retry } })
    await proxy.set({})
    await using connection = await connecting
    expect(await connection.request('a')).toBe('a')
  })

  it('stops when its signal is aborted', async () => {
    await using server = await startPlainServer()
    await using proxy = await startFaultProxy({ to: server.at })
    await proxy.set({ refuse: true })
    const stop = new AbortController()
    const attempts = Number.POSITIVE_INFINITY
    const connecting = connect({ host: '127.0.0.1', port: proxy.port, retry: { attempts }, signal: stop.signal })
    const reason = new Error('enough')
    stop.abort(reason)
    await expect(connecting).rejects.toBe(reason)
  })
})

describe('a connection that reconnects', () => {
  it('fails what was under way, does not repeat it, and goes on', async () => {
    await using server = await startSlowServer()
    await using proxy = await startFaultProxy({ to: server.at })
    await using connection = await connect({ host: '127.0.0.1', port: proxy.port, reconnect: true, retry })
    const opened = next(connection, 'connection.opened')
    const lost = next(connection, 'connection.lost')
    const first = connection.request('a').catch((error: SluiceError) => error)
    await server.until(({ lines }) => lines.length === 1)
    proxy.resetAll()
    expect(await first).toMatchObject({
      code: 'connection_lost',
      message: 'the connection ended before the answer: the other side reset the connection',
      hint: expect.stringContaining('may have acted on it or not'),
    })
    expect(await lost).toMatchObject({ error: { code: 'connection_reset' } })
    expect(connection.state).toBe('reconnecting')
    const second = connection.request('b')
    await opened
    expect(connection.state).toBe('open')
    await server.answer('b')
    expect(await second).toBe('b')
    expect(server.lines).toEqual(['a', 'b'])
  })

  it('repeats what is idempotent', async () => {
    await using server = await startSlowServer()
    await using proxy = await startFaultProxy({ to: server.at })
    await using connection = await connect({ host: '127.0.0.1', port: proxy.port, reconnect: true, retry })
    const answer = connection.request('read', { idempotent: true })
    for (const times of [1, 2]) {
      await server.until(({ lines }) => lines.length === times)
      proxy.resetAll()
    }
    await server.until(({ lines }) => lines.length === 3)
    await server.answer('read', 'too late')
    await server.answer('read', 'too late')
    await server.answer('read', '42')
    expect(await answer).toBe('42')
  })

  it('keeps what is sent meanwhile, within its time and maxPending', async () => {
    await using server = await startPlainServer((line) => line)
    await using proxy = await startFaultProxy({ to: server.at })
    const options = { host: '127.0.0.1', port: proxy.port, reconnect: true, retry, maxPending: 2 } as const
    await using connection = await connect(options)
    await proxy.set({ refuse: true })
    const lost = next(connection, 'connection.lost')
    const failed = next(connection, 'dial.failed')
    proxy.resetAll()
    await lost
    await expect(connection.request('late', { timeout: 20 })).rejects.toMatchObject({
      code: 'request_timeout',
      message: `127.0.0.1:${proxy.port} could not be connected again in time`,
    })
    expect(await codeOf(connection.send('late', { timeout: 20 }))).toBe('request_timeout')
    const request = connection.request('a')
    const send = connection.send('b')
    expect(await codeOf(connection.send('c'))).toBe('too_many_pending')
    expect(await failed).toMatchObject({ error: { code: 'connection_refused' }, target: `127.0.0.1:${proxy.port}` })
    await proxy.set({})
    expect(await request).toBe('a')
    await send
    await server.until(({ lines }) => lines.length === 2)
    expect([...server.lines].sort()).toEqual(['a', 'b'])
  })

  it('fails alone what cannot be written, also when it had to wait, and times what was sent anew', async () => {
    await using server = await startPlainServer((line) => (line === '"silent"' ? undefined : line))
    await using proxy = await startFaultProxy({ to: server.at })
    const options = { host: '127.0.0.1', port: proxy.port, reconnect: true, retry } as const
    await using connection = await connect<unknown>({ ...options, format: format.json() })
    const lost = next(connection, 'connection.lost')
    proxy.resetAll()
    await lost
    const [wrong, silent, right] = await Promise.allSettled([
      connection.request(1n),
      connection.request('silent', { timeout: 1000 }),
      connection.request('a', { match: (message) => message === 'a' }),
    ])
    expect(wrong).toMatchObject({ reason: { code: 'format_not_printable' } })
    expect(silent).toMatchObject({ reason: { message: 'no answer came within 1000 ms' } })
    expect(right).toMatchObject({ value: 'a' })
  })

  it('is read with one loop for all its connections', async () => {
    await using server = await startPlainServer(
      () => undefined,
      (socket) => socket.end(`hello ${server.accepted}\n`),
    )
    await using connection = await connect({ ...server.at, reconnect: true, retry })
    const seen: string[] = []
    for await (const message of connection) {
      seen.push(message)
      if (seen.length === 3) break
    }
    expect(seen).toEqual(['hello 1', 'hello 2', 'hello 3'])
  })

  it('gives up after retry.attempts, and then is closed', async () => {
    await using server = await startPlainServer()
    await using proxy = await startFaultProxy({ to: server.at })
    const options = { host: '127.0.0.1', port: proxy.port, reconnect: true } as const
    await using connection = await connect({ ...options, retry: { attempts: 2, ...retry } })
    await proxy.set({ refuse: true })
    const gone = next(connection, 'connection.closed')
    const reading = connection.receive().catch((error: SluiceError) => error.code)
    proxy.resetAll()
    expect(await connection.closed).toMatchObject({ code: 'connection_refused', attempts: 2 })
    expect(await gone).toMatchObject({ error: { code: 'connection_refused' } })
    expect(await reading).toBe('connection_refused')
    expect(await codeOf(connection.request('a'))).toBe('connection_closed')
  })

  it('can be closed while it is away', async () => {
    await using server = await startPlainServer()
    await using proxy = await startFaultProxy({ to: server.at })
    const connection = await connect({ host: '127.0.0.1', port: proxy.port, reconnect: true })
    await proxy.set({ refuse: true })
    const lost = next(connection, 'connection.lost')
    proxy.resetAll()
    await lost
    const waiting = codeOf(connection.request('a'))
    await connection.close()
    expect(await waiting).toBe('connection_closed')
    expect(await connection.closed).toBeUndefined()
  })
})

describe('onConnect', () => {
  it('runs on each connection before anything else, and reads its greeting', async () => {
    await using server = await startPlainServer(
      (line) => `ok ${line}`,
      (socket) => socket.write('welcome\n'),
    )
    await using proxy = await startFaultProxy({ to: server.at })
    const seen: (string | undefined)[] = []
    await using connection = await connect({
      ...{ host: '127.0.0.1', port: proxy.port, reconnect: true, retry },
      onConnect: async (link) => {
        seen.push(await link.receive())
        seen.push(await link.request('login'))
      },
    })
    const lost = next(connection, 'connection.lost')
    proxy.resetAll()
    await lost
    expect(await connection.request('a')).toBe('ok a')
    expect(seen).toEqual(['welcome', 'ok login', 'welcome', 'ok login'])
    expect(server.lines).toEqual(['login', 'login', 'a'])
  })

  it('makes the attempt fail with what it throws, and its connection is closed', async () => {
    await using server = await startPlainServer(() => 'denied')
    const refused = new Error('the device says: denied')
    const connecting = connect({
      ...server.at,
      onConnect: async (link) => {
        if ((await link.request('login')) === 'denied') throw refused
      },
    })
    await expect(connecting).rejects.toBe(refused)
    await server.until(({ sockets }) => sockets.size === 0)
  })

  it('is tried again when it throws, but not when the error says that this is of no use', async () => {
    let answers = 0
    await using server = await startPlainServer(() => (++answers < 3 ? 'busy' : 'OK'))
    await using connection = await connect({
      ...{ ...server.at, reconnect: true, retry: { attempts: 5, ...retry } },
      onConnect: async (link) => {
        const answer = await link.request('login')
        if (answer === 'denied') throw new SluiceError('step_failed', 'the device refused the login')
        if (answer !== 'OK') throw new Error(answer)
      },
    })
    expect(server.lines).toHaveLength(3)
    await using strict = await startPlainServer(() => 'denied')
    const refused = connect({
      ...{ ...strict.at, retry: { attempts: 5, ...retry } },
      onConnect: async (link) => {
        throw new SluiceError('step_failed', `the device says: ${await link.request('login')}`)
      },
    })
    await expect(refused).rejects.toMatchObject({ code: 'step_failed', message: 'the device says: denied' })
    expect(strict.lines).toEqual(['login'])
    expect(connection.state).toBe('open')
  })

  it('must end in time, and hears when its connection ends', async () => {
    await using silent = await startPlainServer()
    const login = async (link: { receive(): Promise<unknown> }) => void (await link.receive())
    await expect(connect({ ...silent.at, timeout: 500, onConnect: login })).rejects.toMatchObject({
      code: 'connection_timeout',
      message: `onConnect did not end within 500 ms on 127.0.0.1:${silent.at.port}`,
    })
    await using leaving = await startPlainServer(
      () => undefined,
      (socket) => socket.end(),
    )
    const heard: unknown[] = []
    await using connection = await connect({
      ...leaving.at,
      onConnect: async (link) => void heard.push(await link.receive()),
    })
    expect(heard).toEqual([undefined])
    expect(await connection.closed).toBeUndefined()
  })

  it('is given up with the signal', async () => {
    await using server = await startPlainServer()
    const stop = new AbortController()
    const reason = new Error('enough')
    const connecting = connect({
      ...server.at,
      signal: stop.signal,
      onConnect: async (link) => {
        stop.abort(reason)
        await link.receive()
      },
    })
    await expect(connecting).rejects.toBe(reason)
    await server.until(({ sockets }) => sockets.size === 0)
  })
})
