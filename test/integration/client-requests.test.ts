import { describe, expect, it } from 'vitest'
import { connect, format, framing, type SluiceError } from '../../src/index.ts'
import { startFaultProxy } from '../faults/fault-proxy.ts'
import { startPlainServer, startSlowServer } from '../support/plain-server.ts'

interface Call {
  readonly id: number
  readonly op?: string
}

const json = { format: format.json<Call>() }

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'nothing',
    (thrown: SluiceError) => thrown.code,
  )

describe('requests in their order', () => {
  it('are sent without waiting for each other, those of one turn with one write', async () => {
    const chunks: number[] = []
    await using server = await startPlainServer(
      (line) => line,
      (socket) => socket.on('data', (chunk) => chunks.push(chunk.length)),
    )
    await using connection = await connect(server.at)
    const texts = Array.from({ length: 50 }, (_, i) => `r${i}`)
    expect(await Promise.all(texts.map((text) => connection.request(text)))).toEqual(texts)
    expect(chunks).toHaveLength(1)
  })

  it('get their answers through a network that delays them and cuts them into bytes', async () => {
    await using server = await startPlainServer((line) => line)
    await using proxy = await startFaultProxy({ to: server.at })
    await proxy.set({ slice: 1, delay: 5 })
    await using connection = await connect({ host: '127.0.0.1', port: proxy.port, ...json })
    const ids = Array.from({ length: 40 }, (_, id) => id)
    const answers = await Promise.all(ids.map((id) => connection.request({ id })))
    expect(answers.map(({ id }) => id)).toEqual(ids)
  })

  it('never get the late answer to one that timed out', async () => {
    await using server = await startSlowServer()
    await using connection = await connect(server.at)
    const late: unknown[] = []
    connection.events.on('message.dropped', (event) => late.push(event))
    expect(await codeOf(connection.request('a', { timeout: 10 }))).toBe('request_timeout')
    const second = connection.request('b')
    await server.answer('a')
    await server.answer('b')
    expect(await second).toBe('b')
    expect(late).toEqual([{ message: 'a', reason: 'late' }])
  })

  it('are told when what came was taken for an earlier answer', async () => {
    await using server = await startSlowServer()
    await using connection = await connect(server.at)
    expect(await codeOf(connection.request('lost', { timeout: 10 }))).toBe('request_timeout')
    const second = connection.request('b', { timeout: 1000 }).catch((error: SluiceError) => error)
    await server.answer('b')
    const error = await second
    expect(error).toMatchObject({ code: 'request_timeout', hint: expect.stringContaining('whenTimedOut: close') })
    expect((error as SluiceError).message).toBe(
      'no answer came within 1000 ms; what came was taken for the late answer to an earlier request',
    )
  })

  it('lose their connection after a timeout where the user wants that', async () => {
    await using server = await startSlowServer()
    await using connection = await connect({ ...server.at, whenTimedOut: 'close' })
    const other = codeOf(connection.request('b'))
    expect(await codeOf(connection.request('a', { timeout: '10ms' }))).toBe('request_timeout')
    expect(await other).toBe('connection_lost')
    expect(await connection.closed).toMatchObject({ code: 'connection_lost' })
    expect(await codeOf(connection.request('c'))).toBe('connection_closed')
  })

  it('can be given up with a signal, before and after they are sent', async () => {
    await using server = await startSlowServer()
    await using connection = await connect(server.at)
    const reason = new Error('enough')
    await expect(connection.request('never', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const stop = new AbortController()
    const given = connection.request('a', { signal: stop.signal })
    stop.abort(reason)
    await expect(given).rejects.toBe(reason)
    const next = connection.request('b')
    await server.answer('a')
    await server.answer('b')
    expect(await next).toBe('b')
    expect(server.lines).toEqual(['a', 'b'])
  })

  it('are at most maxPending, those given up included', async () => {
    await using server = await startSlowServer()
    await using connection = await connect({ ...server.at, maxPending: 2 })
    const first = connection.request('a')
    expect(await codeOf(connection.request('b', { timeout: 10 }))).toBe('request_timeout')
    await expect(connection.request('c')).rejects.toMatchObject({
      code: 'too_many_pending',
      message: '2 requests and sends are under way, and no more may be',
      hint: 'Wait for answers before you send more, or raise maxPending.',
    })
    expect(await codeOf(connection.send('d'))).toBe('too_many_pending')
    await server.answer('a')
    expect(await first).toBe('a')
    await server.answer('b')
  })

  it('get the error of an answer that cannot be read, and the next its own', async () => {
    await using server = await startPlainServer((line) => (line === '{"id":1}' ? 'oops' : line))
    await using connection = await connect({ ...server.at, ...json })
    const [first, second] = await Promise.allSettled([connection.request({ id: 1 }), connection.request({ id: 2 })])
    expect(first).toMatchObject({ status: 'rejected', reason: { code: 'format_invalid' } })
    expect(second).toMatchObject({ status: 'fulfilled', value: { id: 2 } })
  })

  it('fail when the network swallows everything, and all of them when it breaks', async () => {
    await using server = await startPlainServer((line) => line)
    await using proxy = await startFaultProxy({ to: server.at })
    await using connection = await connect({ host: '127.0.0.1', port: proxy.port })
    await proxy.set({ blackhole: true })
    expect(await codeOf(connection.request('a', { timeout: 20 }))).toBe('request_timeout')
    const both = [connection.request('b'), connection.request('c')].map(codeOf)
    proxy.resetAll()
    expect(await Promise.all(both)).toEqual(['connection_lost', 'connection_lost'])
    expect(await connection.closed).toMatchObject({ code: 'connection_reset' })
    expect(connection.state).toBe('closed')
    await expect(connection.receive()).rejects.toMatchObject({ code: 'connection_reset' })
    await expect(connection.request('d')).rejects.toMatchObject({
      code: 'connection_closed',
      message: 'the connection is closed: the other side reset the connection',
    })
  })

  it('say what is wrong with a timeout', async () => {
    await using server = await startPlainServer((line) => line)
    await using connection = await connect(server.at)
    await expect(connection.request('a', { timeout: '5 parsecs' })).rejects.toThrow(
      'timeout is 5 parsecs; give milliseconds, or a text with a unit such as 3s, of at most 24 days',
    )
    expect(await connection.request('a', { timeout: 'off' })).toBe('a')
  })
})

describe('requests with an id', () => {
  it('are answered in any order, and what has no request goes to the reader', async () => {
    await using server = await startSlowServer()
    await using connection = await connect({ ...server.at, ...json, id: (message) => message.id })
    const [one, two] = [connection.request({ id: 1 }), connection.request({ id: 2 })]
    await server.answer('{"id":2}')
    expect(await two).toEqual({ id: 2 })
    await server.answer('{"id":1}', '{"id":7,"op":"alarm"}\n{"id":1,"op":"done"}')
    expect(await one).toEqual({ id: 1, op: 'done' })
    expect(await connection.receive()).toEqual({ id: 7, op: 'alarm' })
  })

  it('do not disturb each other when one times out', async () => {
    await using server = await startSlowServer()
    const id = { in: (message: Call) => message.id, out: (value: Call) => value.id }
    await using connection = await connect({ ...server.at, ...json, id })
    expect(await codeOf(connection.request({ id: 1 }, { timeout: 10 }))).toBe('request_timeout')
    const second = connection.request({ id: 2 })
    await server.answer('{"id":2}')
    expect(await second).toEqual({ id: 2 })
    const again = connection.request({ id: 1, op: 'again' })
    await server.answer('{"id":1}')
    await server.answer('{"id":1,"op":"again"}')
    expect(await again).toEqual({ id: 1, op: 'again' })
  })
})

describe('requests with a match', () => {
  it('come before those in order', async () => {
    await using server = await startSlowServer()
    await using connection = await connect(server.at)
    const ordered = connection.request('first')
    const status = connection.request('status', { match: (message) => message.startsWith('STATUS') })
    await server.answer('status', 'STATUS ok')
    expect(await status).toBe('STATUS ok')
    await server.answer('first', 'one')
    expect(await ordered).toBe('one')
  })

  it('never get the late answer to one that timed out', async () => {
    await using server = await startSlowServer()
    await using connection = await connect(server.at)
    const match = (message: string) => message.startsWith('STATUS')
    expect(await codeOf(connection.request('s1', { match, timeout: 10 }))).toBe('request_timeout')
    const second = connection.request('s2', { match })
    await server.answer('s1', 'STATUS 1')
    await server.answer('s2', 'STATUS 2')
    expect(await second).toBe('STATUS 2')
  })

  it('say why the last message could not be compared', async () => {
    await using server = await startPlainServer(() => '{"id":1}')
    await using connection = await connect({ ...server.at, ...json })
    const match = ({ op }: Call) => op!.length > 3
    await expect(connection.request({ id: 1 }, { match, timeout: 1000 })).rejects.toThrow(
      /^no answer came within 1000 ms; the last message could not be compared: Cannot read properties of undefined/,
    )
    expect(await connection.receive()).toEqual({ id: 1 })
  })
})

describe('a connection', () => {
  it('sends text, values and bytes, and waits until they are taken', async () => {
    await using server = await startPlainServer()
    await using connection = await connect({ ...server.at, ...json })
    await connection.send({ id: 1 })
    await connection.sendText('plain')
    await connection.sendRaw('raw\n')
    await server.until(({ lines }) => lines.length === 3)
    expect(server.lines).toEqual(['{"id":1}', 'plain', 'raw'])
  })

  it('waits with send while the other side does not read, and no longer than it is told', async () => {
    await using server = await startPlainServer()
    await using proxy = await startFaultProxy({ to: server.at })
    await proxy.set({ stall: true })
    await using connection = await connect({ host: '127.0.0.1', port: proxy.port })
    const large = Buffer.alloc(16 * 1024 * 1024, 'x')
    await expect(connection.sendRaw(large, { timeout: 20 })).rejects.toMatchObject({
      code: 'request_timeout',
      message: 'the other side did not take what was sent within 20 ms',
    })
    const waiting = connection.sendRaw('\n')
    await proxy.set({})
    await waiting
    await server.until(({ lines }) => lines.length === 1)
    expect(server.lines[0]).toHaveLength(large.length)
  })

  it('fails a send that was not taken when the connection breaks', async () => {
    await using server = await startPlainServer()
    await using proxy = await startFaultProxy({ to: server.at })
    await proxy.set({ stall: true })
    await using connection = await connect({ host: '127.0.0.1', port: proxy.port })
    const waiting = codeOf(connection.sendRaw(Buffer.alloc(16 * 1024 * 1024)))
    await proxy.hasAccepted(1)
    proxy.resetAll()
    expect(await waiting).toBe('connection_lost')
  })

  it('gives a receive up in time or by a signal, and loses no message by that', async () => {
    await using server = await startPlainServer((line) => line)
    await using connection = await connect(server.at)
    await expect(connection.receive({ timeout: 10 })).rejects.toMatchObject({ code: 'request_timeout' })
    const reason = new Error('enough')
    const stop = new AbortController()
    const given = connection.receive({ signal: stop.signal })
    stop.abort(reason)
    await expect(given).rejects.toBe(reason)
    await connection.send('a')
    expect(await connection.receive({ timeout: '5s' })).toBe('a')
  })

  it('tells a request that nobody reads the messages before its answer', async () => {
    await using server = await startPlainServer((line) => {
      return line === 'flood' ? 'x\n'.repeat(5000) : undefined
    })
    await using connection = await connect(server.at)
    await connection.send('flood')
    // The first is here, so all of them are: so many that nothing more is read.
    expect(await connection.receive()).toBe('x')
    const error = await connection.request('q', { match: () => false, timeout: 200 }).catch((one: SluiceError) => one)
    expect(error).toMatchObject({
      code: 'request_timeout',
      message: expect.stringMatching(/; \d+ messages wait that nobody reads, so nothing more is read$/),
      hint: 'Read what answers no request, with receive or for await.',
    })
    let read = 1
    while (read < 5000 && (await connection.receive()) === 'x') read++
    expect(read).toBe(5000)
  })

  it('closes when the answers to what was asked are there', async () => {
    await using server = await startSlowServer()
    const connection = await connect(server.at)
    const answer = connection.request('a')
    const closing = connection.close()
    expect(connection.state).toBe('closing')
    expect(await codeOf(connection.request('b'))).toBe('connection_closed')
    await server.answer('a')
    expect(await answer).toBe('a')
    await closing
    expect(await connection.closed).toBeUndefined()
    expect(connection.state).toBe('closed')
    expect(await connection.receive()).toBeUndefined()
    await connection.close()
  })

  it('closes at its deadline, and what is not answered fails', async () => {
    await using server = await startSlowServer()
    const connection = await connect(server.at)
    const answer = codeOf(connection.request('a'))
    await Promise.all([connection.close({ deadline: 20 }), connection.close()])
    expect(await answer).toBe('connection_lost')
  })

  it('is closed at once by its signal, and before it is open', async () => {
    await using server = await startSlowServer()
    const stop = new AbortController()
    const connection = await connect({ ...server.at, signal: stop.signal })
    const reading = connection.receive()
    const answer = codeOf(connection.request('a'))
    stop.abort()
    expect(await answer).toBe('connection_lost')
    expect(await reading).toBeUndefined()
    expect(await connection.closed).toBeUndefined()
    await expect(connect({ ...server.at, signal: stop.signal })).rejects.toBe(stop.signal.reason)
  })

  it('takes its own framing for each direction', async () => {
    await using server = await startPlainServer((line) => `${line}!`)
    const pair = { in: framing.line(), out: framing.delimiter('\n') }
    await using connection = await connect({ ...server.at, framing: pair })
    expect(await connection.request('a')).toBe('a!')
  })
})
