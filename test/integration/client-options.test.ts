import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generate } from 'selfsigned'
import { describe, expect, it } from 'vitest'
import { ConfigError, connect, createPool, createRegistry, defineFormat, part, z } from '../../src/index.ts'
import { startPlainServer } from '../support/plain-server.ts'
import { start, temporaryFolder } from '../support/server.ts'

const echo = { dataflow: [{ reply: '${msg}' }] }

describe('a client', () => {
  it('speaks TLS, and believes no certificate of an unknown authority', async () => {
    using folder = temporaryFolder()
    const [cert, key] = [join(folder.path, 'cert.pem'), join(folder.path, 'key.pem')]
    const made = await generate([{ name: 'commonName', value: 'localhost' }], {
      extensions: [
        { name: 'basicConstraints', cA: true },
        { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
      ],
    })
    writeFileSync(cert, made.cert)
    writeFileSync(key, made.private)
    await using running = await start({ listen: { echo: { port: 0, host: 'localhost', tls: { cert, key }, ...echo } } })
    const at = { host: 'localhost', port: running.port() }
    await using connection = await connect({ ...at, tls: { ca: cert } })
    expect(await connection.request('hello')).toBe('hello')
    await using pool = createPool({ ...at, tls: { ca: cert } })
    expect(await Promise.all(['a', 'b', 'c'].map((text) => pool.request(text)))).toEqual(['a', 'b', 'c'])
    await expect(connect({ ...at, tls: true })).rejects.toMatchObject({
      code: 'tls_failed',
      message: 'the certificate of the other side is signed by an authority that is not known here',
      hint: 'Give the certificate of its authority as tls.ca.',
    })
  })

  it('gives a TLS handshake up with its signal', async () => {
    await using silent = await startPlainServer()
    const stop = new AbortController()
    const connecting = connect({ ...silent.at, tls: true, signal: stop.signal })
    await silent.until(({ sockets }) => sockets.size === 1)
    const reason = new Error('enough')
    stop.abort(reason)
    await expect(connecting).rejects.toBe(reason)
    await silent.until(({ sockets }) => sockets.size === 0)
  })

  it('goes through a Unix socket', async () => {
    using folder = temporaryFolder()
    const socket = join(folder.path, 'echo.sock')
    await using _running = await start({ listen: { echo: { socket, ...echo } } })
    await using connection = await connect({ socket })
    expect(await connection.request('hello')).toBe('hello')
    expect(connection.remote).toEqual({ ip: socket, port: 0 })
  })

  it('takes parts of the user', async () => {
    const upper = defineFormat({
      name: 'upper',
      summary: 'Text in capitals.',
      options: z.strictObject({}),
      examples: [],
      rejects: [],
      create: () => ({
        parse: (bytes, from, to) => bytes.toString('latin1', from, to).toUpperCase(),
        print: (value) => Buffer.from(String(value)),
      }),
    })
    await using server = await startPlainServer((line) => line)
    const registry = createRegistry().add(upper)
    await using connection = await connect({ ...server.at, registry, format: part(upper)() })
    expect(await connection.request('hello')).toBe('HELLO')
  })

  it('takes numbers of milliseconds and texts with units, and reads variables of the environment', async () => {
    await using server = await startPlainServer((line) => line)
    process.env['SLUICE_TEST_HOST'] = server.at.host
    const times = { timeout: 1500.5, keepAlive: 'off', requestTimeout: 'off' }
    await using connection = await connect({ host: '${env.SLUICE_TEST_HOST}', port: server.at.port, ...times })
    delete process.env['SLUICE_TEST_HOST']
    expect(await connection.request('a')).toBe('a')
  })

  it('refuses wrong options before it connects, with what was meant', async () => {
    const messageOf = (options: object) =>
      connect(options as never).then(
        () => 'nothing',
        (error) => {
          expect(error).toBeInstanceOf(ConfigError)
          return (error as ConfigError).message
        },
      )
    const at = { host: 'localhost', port: 1 }
    expect(await messageOf({ ...at, maxPendin: 1 })).toContain('did you mean maxPending?')
    expect(await messageOf({ path: '/run/x.sock' })).toContain('did you mean socket?')
    expect(await messageOf({ ...at, timeout: '5 parsecs' })).toContain('timeout')
    expect(await messageOf({ ...at, requestTimeout: -1 })).toContain('requestTimeout')
    expect(await messageOf({ ...at, retry: { attempts: 0 } })).toContain('retry.attempts')
    expect(await messageOf({ ...at, id: 'msg.id' })).toContain('id')
    expect(await messageOf({ ...at, whenTimedOut: 'wait' })).toContain('drop')
    expect(await messageOf({ ...at, signal: {} })).toContain('expected an AbortSignal')
    expect(await messageOf({ ...at, framing: 'lines' })).toContain('did you mean line?')
    expect(await messageOf({ host: 'localhost' })).toContain('no port')
  })
})
