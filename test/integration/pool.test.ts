import { describe, expect, it } from 'vitest'
import { createPool, format, type Pool, type SluiceError } from '../../src/index.ts'
import { startFaultProxy } from '../faults/fault-proxy.ts'
import { startPlainServer, startSlowServer } from '../support/plain-server.ts'

const retry = { backoff: { first: 5, max: 20 } }

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'nothing',
    (thrown: SluiceError) => thrown.code,
  )

/** Resolves when a pool has told something so many times. */
function told(pool: Pool<string>, name: 'connection.closed' | 'connection.opened', times = 1): Promise<void> {
  let left = times
  return new Promise((resolve) => {
    pool.events.on(name, () => {
      if (--left === 0) resolve()
    })
  })
}

describe('a pool', () => {
  it('connects when it is asked, and uses one connection while that is free', async () => {
    await using server = await startPlainServer((line) => line)
    await using pool = createPool(server.at)
    expect(pool.size).toBe(0)
    for (const text of ['a', 'b', 'c']) expect(await pool.request(text)).toBe(text)
    expect(pool.size).toBe(1)
    expect(server.accepted).toBe(1)
  })

  it('opens as many as max while all are busy, and then shares them evenly', async () => {
    await using server = await startSlowServer()
    await using pool = createPool({ ...server.at, max: 3 })
    const texts = ['a', 'b', 'c', 'd', 'e', 'f']
    const answers = Promise.all(texts.map((text) => pool.request(text)))
    expect(pool.pending).toBe(6)
    await server.until(({ lines }) => lines.length === 6)
    expect(server.accepted).toBe(3)
    for (const text of texts) await server.answer(text)
    expect(await answers).toEqual(texts)
    expect(pool.pending).toBe(0)
  })

  it('takes the connection with the fewest requests', async () => {
    await using server = await startSlowServer()
    await using pool = createPool({ ...server.at, max: 2 })
    const [one, two] = [pool.request('a'), pool.request('b')]
    await server.answer('b')
    expect(await two).toBe('b')
    const three = pool.request('c')
    await server.answer('c')
    // It was not behind the request that has no answer yet.
    expect(await three).toBe('c')
    await server.answer('a')
    expect(await one).toBe('a')
  })

  it('replaces a connection that broke', async () => {
    await using server = await startSlowServer()
    await using proxy = await startFaultProxy({ to: server.at })
    await using pool = createPool({ host: '127.0.0.1', port: proxy.port, max: 1, retry })
    const lost = codeOf(pool.request('a'))
    await server.until(({ lines }) => lines.length === 1)
    proxy.resetAll()
    expect(await lost).toBe('connection_lost')
    const next = pool.request('b')
    await server.answer('b')
    expect(await next).toBe('b')
    expect(server.lines).toEqual(['a', 'b'])
    expect(server.accepted).toBe(2)
  })

  it('repeats what is idempotent on another connection', async () => {
    await using server = await startSlowServer()
    await using proxy = await startFaultProxy({ to: server.at })
    await using pool = createPool({ host: '127.0.0.1', port: proxy.port, max: 2, retry })
    const answer = pool.request('read', { idempotent: true })
    await server.until(({ lines }) => lines.length === 1)
    proxy.resetAll()
    await server.until(({ lines }) => lines.length === 2)
    await server.answer('read', 'too late')
    await server.answer('read', '42')
    expect(await answer).toBe('42')
  })

  it('says why it cannot connect, and asks on one that is open where no other can be opened', async () => {
    await using server = await startSlowServer()
    await using proxy = await startFaultProxy({ to: server.at })
    await using pool = createPool({ host: '127.0.0.1', port: proxy.port, max: 2 })
    const first = pool.request('a')
    await server.until(({ lines }) => lines.length === 1)
    await proxy.set({ refuse: true })
    const second = pool.request('b')
    await server.answer('a')
    await server.answer('b')
    expect(await Promise.all([first, second])).toEqual(['a', 'b'])
    const closed = told(pool, 'connection.closed')
    proxy.resetAll()
    await closed
    await expect(pool.request('c')).rejects.toMatchObject({
      code: 'connection_refused',
      message: `nothing listens on 127.0.0.1:${proxy.port} (connection refused)`,
    })
    expect(pool.size).toBe(0)
  })

  it('waits for a connection no longer than its request may', async () => {
    await using server = await startPlainServer((line) => line)
    await using pool = createPool({ ...server.at, onConnect: async (link) => void (await link.receive()) })
    await expect(pool.request('a', { timeout: 20 })).rejects.toMatchObject({
      code: 'request_timeout',
      message: 'no connection was there in time to ask on',
    })
    const reason = new Error('enough')
    await expect(pool.request('a', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(pool.pending).toBe(0)
    await pool.close({ deadline: 0 })
    expect(server.lines).toEqual([])
  })

  it('has at most maxPending requests on each connection', async () => {
    await using server = await startSlowServer()
    await using pool = createPool({ ...server.at, max: 1, maxPending: 1 })
    const first = pool.request('a')
    expect(await codeOf(pool.request('b'))).toBe('too_many_pending')
    await server.answer('a')
    expect(await first).toBe('a')
  })

  it('closes a connection that nobody has used for idleTimeout', async () => {
    await using server = await startPlainServer((line) => line)
    await using pool = createPool({ ...server.at, idleTimeout: '20ms' })
    const closed = told(pool, 'connection.closed')
    expect(await pool.request('a')).toBe('a')
    await closed
    expect(pool.size).toBe(0)
    expect(await pool.request('b')).toBe('b')
    expect(server.accepted).toBe(2)
  })

  it('drops what answers no request and says so, however much that is', async () => {
    await using server = await startPlainServer((line) => `${'x\n'.repeat(3000)}oops\n{"id":1,"of":"${line.length}"}`)
    await using pool = createPool({ ...server.at, format: format.json<{ id: number }>(), id: ({ id }) => id })
    const all = new Promise<void>((resolve) => {
      let dropped = 0
      pool.events.on('message.dropped', ({ reason, error }) => {
        if (reason === 'unrequested' && error?.code === 'format_invalid') dropped++
        if (dropped === 3001) resolve()
      })
    })
    expect(await pool.request({ id: 1 })).toMatchObject({ id: 1 })
    await all
  })

  it('finishes what has been asked when it is closed, and refuses what is new', async () => {
    await using server = await startSlowServer()
    const pool = createPool({ ...server.at, max: 2 })
    const both = Promise.all([pool.request('a'), pool.request('b')])
    const closing = pool.close()
    await expect(pool.request('c')).rejects.toMatchObject({ code: 'connection_closed', message: 'the pool is closed' })
    await server.answer('b')
    await server.answer('a')
    expect(await both).toEqual(['a', 'b'])
    await closing
    await server.until(({ sockets }) => sockets.size === 0)
    expect(pool.size).toBe(0)
  })

  it('closes at its deadline, and at once with its signal', async () => {
    await using server = await startSlowServer()
    const pool = createPool(server.at)
    const late = codeOf(pool.request('a', { idempotent: true }))
    await server.until(({ lines }) => lines.length === 1)
    await pool.close({ deadline: 10 })
    expect(await late).toBe('connection_closed')
    const stop = new AbortController()
    const other = createPool({ ...server.at, signal: stop.signal })
    const gone = codeOf(other.request('b'))
    await server.until(({ lines }) => lines.length === 2)
    stop.abort()
    expect(await gone).toBe('connection_lost')
    expect(await codeOf(createPool({ ...server.at, signal: stop.signal }).request('c'))).toBe('connection_closed')
  })

  it('names every mistake in its options at once', () => {
    const wrong = { port: 1, max: 0, idleTimeout: 'x', maxPendin: 3, path: '/run/x.sock' } as never
    expect(() => createPool(wrong)).toThrow(/max[\s\S]*idleTimeout|idleTimeout[\s\S]*max/)
    expect(() => createPool(wrong)).toThrow('did you mean maxPending?')
    expect(() => createPool(wrong)).toThrow('did you mean socket?')
    expect(() => createPool({ port: 1 })).toThrow('no host')
  })
})
