import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate } from 'selfsigned'
import { afterAll, describe, expect, it, vi } from 'vitest'
import type { Socket, TlsLayer, Transport } from '../contracts/transport.ts'
import { Receiver } from '../testing/receiver.ts'
import { transportSuite } from '../testing/transport-suite.ts'
import { proxyHeader } from '../wire/proxy-header.ts'
import { createMemoryTransport } from './memory.ts'
import { createProxyLayer } from './proxy.ts'
import { createTcp } from './tcp.ts'
import { createClientTls, createServerTls } from './tls.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-transports-'))
afterAll(() => rmSync(folder, { recursive: true }))
let paths = 0
const newPath = () => ({ path: join(folder, `${++paths}.sock`) })

const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }])
const server = createServerTls({ cert, key })
const client = createClientTls({ ca: cert, servername: 'localhost' })

const tcp = createTcp()
const memory = createMemoryTransport()
const loopback = () => ({ host: '127.0.0.1', port: 0 })

const subjects = {
  tcp: { transport: tcp, where: loopback },
  'a Unix socket': { transport: tcp, where: newPath },
  memory: { transport: memory, where: () => ({ port: 0 }) },
  'memory with a path': { transport: memory, where: newPath },
  'TLS over TCP': { transport: encrypted(tcp, server, client), where: loopback },
  'TLS over a Unix socket': { transport: encrypted(tcp, server, client), where: newPath },
  'TCP behind a PROXY header': { transport: proxied(tcp), where: loopback },
  'a Unix socket behind a PROXY header': { transport: proxied(tcp), where: newPath },
  'memory behind a PROXY header': { transport: proxied(memory), where: () => ({ port: 0 }) },
  'TLS behind a PROXY header': { transport: encrypted(proxied(tcp), server, client), where: loopback },
  'TLS over memory': { transport: encrypted(memory, server, client), where: () => ({ port: 0 }) },
}

for (const [name, subject] of Object.entries(subjects)) {
  describe(name, () => {
    for (const check of transportSuite(subject)) it(check.name, check.run)
  })
}

describe.each([
  'tcp',
  'a Unix socket',
  'TLS over TCP',
  'TLS over a Unix socket',
  'TCP behind a PROXY header',
  'TLS behind a PROXY header',
] as const)('%s', (name) => {
  it('a connection that rests leaves what comes with the system, and others do not', async () => {
    const { transport, where } = subjects[name]
    const accepted: Socket[] = []
    const listener = await transport.listen(where(), (socket) => accepted.push(socket))
    const { ip, port } = listener.address
    const dial = async () => {
      const dialled = new Receiver(
        await transport.dial({ ...(port === 0 ? { path: ip } : { host: ip, port }), timeout: 5000 }),
      )
      await vi.waitUntil(() => accepted.length > 0, { timeout: 60_000 })
      return { client: dialled, server: new Receiver(accepted.pop()!) }
    }
    const [resting, other] = [await dial(), await dial()]
    resting.server.socket.rest!()
    for (let i = 1; i <= 3; i++) {
      resting.client.socket.write(`${i}`)
      other.client.socket.write(`${i}`)
      await other.server.received(i)
    }
    expect(resting.server.length).toBe(0)
    resting.server.socket.wake!()
    await resting.server.received(3)
    expect(resting.server.text).toBe('123')
    for (const { client, server } of [resting, other]) {
      client.socket.destroy()
      server.socket.destroy()
      await Promise.all([client.closed, server.closed])
    }
    await listener.close()
  })
})

/** A transport whose connections are secured as soon as they exist. */
function encrypted(transport: Transport, ours: TlsLayer, theirs: TlsLayer): Transport {
  return {
    listen: (options, onSocket) =>
      transport.listen(options, (socket) => void ours.secure(socket).then(onSocket, () => {})),
    dial: async (options) => theirs.secure(await transport.dial(options)),
  }
}

/** A transport whose connections begin with a header that says who has dialled. */
function proxied(transport: Transport): Transport {
  const layer = createProxyLayer({ trust: undefined, timeout: 5000 })
  return {
    listen: (options, onSocket) =>
      transport.listen(options, (socket) => void layer.unwrap(socket).then((client) => client && onSocket(client))),
    dial: async (options) => {
      const socket = await transport.dial(options)
      const { local, remote } = socket
      socket.write(proxyHeader('v2', { ...local, localIp: remote.ip, localPort: remote.port }))
      return socket
    },
  }
}
