/** Programs that people really use, against a real server. One that is not installed is skipped, by its name. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generate } from 'selfsigned'
import { describe, expect, it } from 'vitest'
import { hasClient } from '../../scripts/debian-clients.ts'
import type { Config } from '../../src/index.ts'
import { Command, run } from '../support/command.ts'
import { type Running, start, temporaryFolder } from '../support/server.ts'

/** Answers each line; a client is greeted before it has said anything. */
const lines: Config = {
  listen: {
    lines: {
      host: '127.0.0.1',
      port: 0,
      onConnect: [{ reply: 'Welcome' }],
      dataflow: [{ reply: 'got ${msg}' }],
    },
  },
}

/** Answers each read, with or without the end of a line. */
const raw: Config = {
  listen: { raw: { host: '127.0.0.1', port: 0, framing: 'raw', dataflow: [{ reply: 'Hello from the server!' }] } },
}

async function reasonOf(running: Running): Promise<string> {
  return (await running.event('connection.closed')).reason
}

describe('a real client:', () => {
  it.skipIf(!hasClient('nc')).each(['-q1', '-N'])('netcat (nc %s) sends lines and gets its answers', async (option) => {
    await using running = await start(lines)
    const { stdout, code } = await run('nc', [option, '127.0.0.1', String(running.port())], { input: 'one\ntwo\n' })
    expect({ stdout, code }).toEqual({ stdout: 'Welcome\ngot one\ngot two\n', code: 0 })
    expect(await reasonOf(running)).toBe('client_closed')
  })

  it.skipIf(!hasClient('nc'))('netcat (nc) is greeted without saying anything', async () => {
    await using running = await start(lines)
    await using nc = new Command('nc', ['127.0.0.1', String(running.port())])
    expect(await nc.hear('Welcome\n')).toBe('Welcome\n')
  })

  it.skipIf(!hasClient('plink'))('PuTTY (plink -raw) talks in lines', async () => {
    await using running = await start(lines)
    await using plink = new Command('plink', ['-raw', '-batch', '-P', String(running.port()), '127.0.0.1'])
    await plink.hear('Welcome')
    await plink.send('one\r\n').hear('got one')
    await plink.send('two\n').hear('got two')
    plink.finish()
    expect(await reasonOf(running)).toBe('client_closed')
  })

  it.skipIf(!hasClient('telnet'))('telnet talks in lines', async () => {
    await using running = await start(lines)
    await using telnet = new Command('telnet', ['127.0.0.1', String(running.port())])
    await telnet.hear('Welcome')
    await telnet.send('one\n').hear('got one')
    await telnet.send('two\n').hear('got two')
    telnet.finish()
    expect(await reasonOf(running)).toBe('client_closed')
  })

  it.skipIf(!hasClient('packetsender'))('Packet Sender (packetsender) sends text and shows the answer', async () => {
    await using running = await start({
      listen: { lines: { ...lines.listen!['lines']!, onConnect: [] } },
    })
    const { stdout } = await runPacketSender(['-a', '-w', '1000', '127.0.0.1', String(running.port()), 'one\\n'])
    expect(stdout).toContain('got one')
    expect(await reasonOf(running)).toMatch(/^client_(closed|reset)$/)
  })

  it.skipIf(!hasClient('packetsender'))('Packet Sender (packetsender) sends bytes in hexadecimal', async () => {
    await using running = await start(raw)
    const { stdout } = await runPacketSender(['-x', '-w', '1000', '127.0.0.1', String(running.port()), '02 41 03'])
    expect(stdout).toContain('Hello from the server!')
  })

  it.skipIf(!hasClient('openssl'))('openssl s_client talks in lines over TLS', async () => {
    using folder = temporaryFolder()
    const [cert, key] = [join(folder.path, 'cert.pem'), join(folder.path, 'key.pem')]
    const pems = await generate([{ name: 'commonName', value: 'localhost' }])
    writeFileSync(cert, pems.cert)
    writeFileSync(key, pems.private)
    await using running = await start({ listen: { lines: { ...lines.listen!['lines']!, tls: { cert, key } } } })
    const where = `127.0.0.1:${running.port()}`
    await using openssl = new Command('openssl', ['s_client', '-quiet', '-connect', where])
    await openssl.hear('Welcome\n')
    await openssl.send('one\n').hear('got one\n')
    expect(running.all('connection.opened')[0]!.client.tls).toBe(true)
    openssl.signal('SIGTERM')
    expect(await reasonOf(running)).toMatch(/^client_(closed|reset)$/)
  })

  it.skipIf(!hasClient('python3'))("Python's socket sends text without a newline to a raw endpoint", async () => {
    await using running = await start(raw)
    const program = `
import socket
client = socket.create_connection(("127.0.0.1", ${running.port()}))
client.sendall(b"Hello from the client!")
print(client.recv(1024).decode())
client.close()
`
    const { stdout, stderr, code } = await run('python3', ['-c', program])
    expect({ stdout, stderr, code }).toEqual({ stdout: 'Hello from the server!\n', stderr: '', code: 0 })
    expect(await reasonOf(running)).toBe('client_closed')
    const [opened] = running.all('connection.opened')
    expect(opened!.client.bytesIn).toBe('Hello from the client!'.length)
  })
})

/** It is a program with windows, which needs a screen even for its command line, and a home for its settings. */
async function runPacketSender(args: readonly string[]) {
  using home = temporaryFolder()
  return await run('packetsender', args, { env: { QT_QPA_PLATFORM: 'offscreen', HOME: home.path } })
}
