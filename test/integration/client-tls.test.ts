import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generate } from 'selfsigned'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasClient } from '../../scripts/debian-clients.ts'
import { freePort } from '../support/free-port.ts'
import { NatsServer } from '../support/nats.ts'
import { Peer } from '../support/peer.ts'
import { RedisServer } from '../support/redis.ts'
import { start, temporaryFolder } from '../support/server.ts'

const folder = temporaryFolder()
const cert = join(folder.path, 'cert.pem')
const key = join(folder.path, 'key.pem')

beforeAll(async () => {
  const made = await generate([{ name: 'commonName', value: 'localhost' }], {
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
    ],
  })
  writeFileSync(cert, made.cert)
  writeFileSync(key, made.private)
})
afterAll(() => folder[Symbol.dispose]())

/** Sends one line through a server whose only sink is this; gives the answer. */
async function deliver(sink: object): Promise<string> {
  const dataflow = [sink, { reply: 'OK ${msg}' }] as never
  await using running = await start({
    listen: { lines: { port: 0, dataflow, onError: [{ reply: '${error.message}' }] } },
  })
  await using peer = await Peer.connect(running.port())
  return await peer.send('hello\n').finish().end()
}

describe.skipIf(!hasClient('nats-server'))('nats with TLS', () => {
  const open = () =>
    NatsServer.start({
      jetstream: false,
      config: `tls { cert_file: "${cert}", key_file: "${key}" }`,
    })
  const sink = (server: NatsServer, tls: unknown) => ({
    nats: { servers: `localhost:${server.port}`, subject: 'a', jetstream: false, tls },
  })

  it('trusts the authority that is named', async () => {
    await using server = await open()
    expect(await deliver(sink(server, { ca: cert }))).toBe('OK hello\n')
    expect(await deliver(sink(server, { insecure: true }))).toBe('OK hello\n')
  })

  it('trusts no other, and says so at the start', async () => {
    await using server = await open()
    await expect(deliver(sink(server, true))).rejects.toMatchObject({
      code: 'tls_failed',
      message: expect.stringContaining(`certificate of localhost:${server.port} is not signed by an authority`),
    })
  })
})

describe.skipIf(!hasClient('nats-server'))('nats, when only one side speaks TLS', () => {
  const sink = (server: NatsServer, tls: unknown) => ({
    nats: { servers: server.url, subject: 'a', jetstream: false, tls },
  })

  it('says so at the start', async () => {
    await using plain = await NatsServer.start({ jetstream: false })
    await using secure = await NatsServer.start({
      jetstream: false,
      config: `tls { cert_file: "${cert}", key_file: "${key}" }`,
    })
    await expect(deliver(sink(plain, true))).rejects.toMatchObject({
      code: 'tls_failed',
      message: expect.stringContaining(`NATS at ${plain.url} does not encrypt`),
    })
    await expect(deliver(sink(secure, false))).rejects.toMatchObject({
      code: 'tls_failed',
      message: expect.stringContaining(`NATS at ${secure.url} takes only encrypted connections`),
      hint: 'write tls: true',
    })
  })
})

describe.skipIf(!hasClient('redis-server'))('redis with TLS', () => {
  /** A server that takes encrypted connections on a second port. */
  const open = async () => {
    const port = await freePort()
    const tls = [`--tls-port ${port}`, `--tls-cert-file ${cert}`, `--tls-key-file ${key}`, '--tls-auth-clients no']
    return { port, server: await RedisServer.start(...tls) }
  }
  const sink = (port: number, tls: unknown) => ({ redis: { list: 'a', port, tls } })

  it('trusts the authority that is named', async () => {
    const { port, server } = await open()
    await using _ = server
    expect(await deliver(sink(port, { ca: cert }))).toBe('OK hello\n')
    expect(await server.ask('LLEN', 'a')).toBe(1)
  })

  it('trusts no other, and says so at the start', async () => {
    const { port, server } = await open()
    await using _ = server
    await expect(deliver(sink(port, true))).rejects.toMatchObject({
      code: 'tls_failed',
      message: expect.stringContaining(`certificate of localhost:${port} is not signed by an authority`),
    })
  })
})
