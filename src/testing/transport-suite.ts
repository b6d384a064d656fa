import assert from 'node:assert/strict'
import { SluiceError } from '../contracts/errors.ts'
import type { DialOptions, Listener, ListenOptions, Socket, Transport } from '../contracts/transport.ts'
import type { Check } from './check.ts'
import { Receiver } from './receiver.ts'

/** What the suite needs to know of a transport. */
export interface TransportSubject {
  readonly transport: Transport
  /** Where to listen. Called once per check; a path must be a new one each time. */
  where(): ListenOptions
}

/** What every transport must do, whatever carries its bytes. */
export function transportSuite({ transport, where }: TransportSubject): Check[] {
  const check = (name: string, run: (pair: Pair) => Promise<void>): Check => ({
    name,
    run: async () => {
      const pair = await openPair(transport, where())
      try {
        await run(pair)
      } finally {
        await pair.close()
      }
    },
  })
  return [
    check('bytes go both ways and arrive in order', async ({ client, server }) => {
      server.whenData = (chunk) => server.socket.write(chunk)
      client.socket.write('one ')
      client.socket.write(Buffer.from('two'))
      await client.received(7)
      assert.equal(client.text, 'one two')
    }),
    check(
      'port 0 becomes a real port, and both ends agree on their addresses',
      async ({ listener, client, server }) => {
        assert.ok(listener.address.port > 0 || listener.address.ip.length > 1)
        assert.deepEqual(client.socket.remote, server.socket.local)
        assert.deepEqual(server.socket.remote, client.socket.local)
        if (listener.address.port > 0) assert.equal(server.socket.local.port, listener.address.port)
      },
    ),
    check('a client that sends its end still gets its answer', async ({ client, server }) => {
      client.socket.write('question')
      client.socket.end()
      await server.ended
      assert.equal(server.text, 'question')
      server.socket.write('answer')
      server.socket.end()
      await client.ended
      assert.equal(client.text, 'answer')
      assert.deepEqual(await Promise.all([client.closed, server.closed]), [undefined, undefined])
    }),
    check('a server that ends first still reads', async ({ client, server }) => {
      server.socket.write('bye')
      server.socket.end()
      await client.ended
      client.socket.write('late')
      client.socket.end()
      await server.ended
      assert.equal(server.text, 'late')
      assert.deepEqual(await Promise.all([client.closed, server.closed]), [undefined, undefined])
    }),
    check('a socket says whether anything leaves it any more', async ({ client, server }) => {
      assert.ok(client.socket.writable && server.socket.writable)
      client.socket.end()
      assert.equal(client.socket.writable, false)
      await server.ended
      assert.ok(server.socket.writable, 'the end of one side is not the end of the other')
      server.socket.destroy()
      assert.equal(server.socket.writable, false)
      await client.closed
      assert.equal(client.socket.writable, false)
    }),
    check('what was queued is sent before the end', async ({ client, server }) => {
      const bytes = pattern(2_000_000)
      client.socket.write(bytes)
      client.socket.end()
      await server.ended
      assert.ok(bytes.equals(server.bytes))
    }),
    check('ten megabytes arrive intact while the writer waits for onDrain', async ({ client, server }) => {
      const bytes = pattern(10_000_000)
      const step = 100_000
      for (let at = 0; at < bytes.length; at += step) {
        if (!client.socket.write(bytes.subarray(at, at + step))) await client.drained()
      }
      await server.received(bytes.length)
      assert.ok(bytes.equals(server.bytes))
    }),
    check('pause holds the sender, resume lets it go on', async ({ client, server }) => {
      server.socket.pause()
      const chunk = pattern(1_000_000)
      let sent = 0
      while (client.socket.queued < 2_000_000 && sent < 64) {
        client.socket.write(chunk)
        sent++
        await turn()
      }
      assert.ok(client.socket.queued >= 2_000_000, 'unread bytes must wait at the sender')
      const arrived = server.length
      await turn()
      assert.equal(server.length, arrived, 'a paused socket hands nothing over')
      server.socket.resume()
      await server.received(sent * chunk.length)
      while (client.socket.queued > 0) await turn()
    }),
    check('what comes in a rest is handed over, once and in order', async ({ client, server }) => {
      for (const text of ['first ', 'second ', 'third']) {
        server.socket.rest?.()
        client.socket.write(text)
        await turns(10)
        server.socket.wake?.()
      }
      await server.received(18)
      assert.equal(server.text, 'first second third')
    }),
    check('an end that came in a rest is told behind it, and what came before it too', async ({ client, server }) => {
      server.socket.rest?.()
      client.socket.write('last')
      client.socket.end()
      await turns(10)
      server.socket.wake?.()
      await server.ended
      assert.equal(server.text, 'last')
    }),
    check('a rest and a pause do not end one another', async ({ client, server }) => {
      server.socket.rest?.()
      server.socket.pause()
      client.socket.write('a')
      server.socket.wake?.()
      await turns(10)
      assert.equal(server.text, '', 'it wakes into its pause')
      server.socket.rest?.()
      server.socket.resume()
      server.socket.wake?.()
      client.socket.write('b')
      await server.received(2)
      assert.equal(server.text, 'ab')
    }),
    {
      name: 'nothing is read before start, and nothing is lost by starting late',
      run: async () => {
        const accepted = Promise.withResolvers<Socket>()
        const listener = await transport.listen(where(), accepted.resolve)
        const client = new Receiver(await transport.dial(target(listener)))
        client.socket.write('early')
        const socket = await accepted.promise
        await turns(5)
        const server = new Receiver(socket)
        await server.received(5)
        assert.equal(server.text, 'early')
        client.socket.destroy()
        server.socket.destroy()
        await Promise.all([client.closed, server.closed, listener.close()])
      },
    },
    check('a socket that is destroyed in its rest closes, and wakes to nothing', async ({ client, server }) => {
      server.socket.rest?.()
      server.socket.destroy()
      server.socket.wake?.()
      await server.closed
      client.socket.destroy()
      await client.closed
    }),
    check('destroy closes at once, and the other side is told', async ({ client, server }) => {
      client.socket.destroy()
      assert.equal(await client.closed, undefined)
      // As an end, or as a reset if something was still unread.
      await Promise.race([server.ended, server.closed])
      server.socket.end()
      await server.closed
    }),
    check('after a reset the other side knows that not all has come', async ({ listener, client, server }) => {
      server.socket.write('half of it')
      await client.received(10)
      server.socket.reset()
      assert.equal(await server.closed, undefined)
      // Unix sockets know ends alone.
      if (listener.address.port === 0) return void client.socket.destroy()
      const error = await client.closed
      assert.ok(error instanceof SluiceError)
      assert.equal(error.code, 'connection_reset')
      assert.ok(!client.calls.includes('end'), 'a reset is no end')
    }),
    check('a reset is a close with an error', async ({ client, server }) => {
      server.socket.pause()
      const chunk = pattern(1_000_000)
      for (let i = 0; i < 8; i++) client.socket.write(chunk)
      await turn()
      server.socket.destroy()
      const error = await client.closed
      assert.ok(error instanceof SluiceError)
      assert.equal(error.code, 'connection_reset')
    }),
    check('writing, pausing and ending after the close is harmless', async ({ client, server }) => {
      for (const { socket } of [client, server]) socket.destroy()
      await Promise.all([client.closed, server.closed])
      for (const { socket } of [client, server]) {
        socket.write('nobody')
        socket.pause()
        socket.resume()
        socket.rest?.()
        socket.wake?.()
        socket.end()
        socket.destroy()
        socket.reset()
      }
      await turn()
      for (const side of [client, server]) assert.equal(closes(side), 1)
    }),
    check('writing after end is dropped', async ({ client, server }) => {
      client.socket.write('a')
      client.socket.end()
      client.socket.write('b')
      await server.ended
      server.socket.end()
      assert.deepEqual(await Promise.all([client.closed, server.closed]), [undefined, undefined])
      assert.equal(server.text, 'a')
    }),
    check('onClose is the last call and comes once', async ({ client, server }) => {
      client.socket.write('x')
      client.socket.end()
      server.whenData = () => server.socket.end()
      await Promise.all([client.closed, server.closed])
      await turn()
      for (const side of [client, server]) {
        assert.equal(closes(side), 1)
        assert.equal(side.calls.at(-1), 'close')
      }
    }),
    check(
      'closing a listener refuses new connections and keeps those that exist',
      async ({ listener, client, server }) => {
        await listener.close()
        await assert.rejects(transport.dial(target(listener)), { code: 'connection_refused' })
        client.socket.write('still here')
        await server.received(10)
      },
    ),
    check('an address that is in use is refused', async ({ listener }) => {
      const { ip, port } = listener.address
      const taken = port === 0 ? { path: ip } : { host: ip, port }
      await assert.rejects(
        transport.listen(taken, () => {}),
        { code: 'address_in_use' },
      )
    }),
    {
      name: 'an address where nobody listens is refused',
      run: async () => {
        const listener = await transport.listen(where(), () => {})
        await listener.close()
        await assert.rejects(transport.dial(target(listener)), { code: 'connection_refused', retryable: true })
      },
    },
    {
      name: 'an aborted dial rejects with the reason of its signal',
      run: async () => {
        const reason = new Error('changed my mind')
        const signal = AbortSignal.abort(reason)
        await assert.rejects(transport.dial({ port: 1, timeout: 1000, signal }), reason)
      },
    },
  ]
}

/** The two ends of one connection, both started, and the listener between them. */
interface Pair {
  readonly listener: Listener
  readonly client: Receiver
  readonly server: Receiver
  close(): Promise<void>
}

async function openPair(transport: Transport, where: ListenOptions): Promise<Pair> {
  const accepted = Promise.withResolvers<Receiver>()
  const listener = await transport.listen(where, (socket) => accepted.resolve(new Receiver(socket)))
  const client = new Receiver(await transport.dial(target(listener)))
  const server = await accepted.promise
  const close = async () => {
    client.socket.destroy()
    server.socket.destroy()
    await Promise.all([client.closed, server.closed, listener.close()])
  }
  return { listener, client, server, close }
}

function target({ address: { ip, port } }: Listener): DialOptions {
  return port === 0 ? { path: ip, timeout: 5000 } : { host: ip, port, timeout: 5000 }
}

function closes({ calls }: Receiver): number {
  return calls.filter((call) => call === 'close').length
}

function pattern(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8)) & 0xff
  return bytes
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await turn()
}
