/** `sluice connect`, as a user starts it: in a pipe, with one message, and at a terminal. */
import { writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { generate } from 'selfsigned'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasClient } from '../../scripts/debian-clients.ts'
import { runSluice } from '../support/cli.ts'
import { Command, run, sluice } from '../support/command.ts'
import { freePort } from '../support/free-port.ts'
import { start, temporaryFolder } from '../support/server.ts'

const folder = temporaryFolder()
afterAll(() => folder[Symbol.dispose]())

const echo = { host: '127.0.0.1', port: 0, dataflow: [{ reply: 'OK ${msg}' }] }

/** A server that does with each connection what a test wants. */
async function serve(act: (socket: Socket) => void): Promise<{ readonly port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    act(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  return {
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function pipe(args: readonly string[], input: string | Buffer) {
  return run(process.execPath, [sluice, 'connect', ...args], { input })
}

describe('sluice connect in a pipe', () => {
  it('passes bytes both ways, ends its side at the end of the input, and waits for what still comes', async () => {
    await using running = await start({ listen: { echo } })
    const done = await pipe([`127.0.0.1:${running.port()}`], 'one\ntwo\n')
    expect(done).toEqual({ code: 0, stdout: 'OK one\nOK two\n', stderr: '' })
  })

  it('writes bytes as they are, many of them', async () => {
    const sent = Buffer.alloc(3_000_000, Buffer.from([0, 27, 255, 10, 13]))
    await using server = await serve((socket) => socket.pipe(socket))
    const file = join(folder.path, 'sent.bin')
    writeFileSync(file, sent)
    const back = join(folder.path, 'back.bin')
    const line = `"${process.execPath}" "${sluice}" connect ${server.port} < "${file}" > "${back}" && cmp "${file}" "${back}"`
    expect(await run('sh', ['-c', line])).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  it('ends when the other side has closed, though its input is open', async () => {
    await using server = await serve((socket) => socket.end('bye\n'))
    await using command = new Command(process.execPath, [sluice, 'connect', String(server.port)])
    expect(await command.finished).toEqual({ code: 0, stdout: 'bye\n', stderr: '' })
  })

  it('ends when the reader has seen enough', async () => {
    await using server = await serve((socket) => {
      const more = () => {
        while (socket.write('line\n'.repeat(1000)));
      }
      socket.on('drain', more)
      more()
    })
    const line = `"${process.execPath}" "${sluice}" connect ${server.port} < /dev/null | head -n 1`
    expect(await run('sh', ['-c', line])).toEqual({ code: 0, stdout: 'line\n', stderr: '' })
  })

  it('goes through a Unix socket', async () => {
    const socket = join(folder.path, 'echo.sock')
    await using _ = await start({ listen: { echo: { socket, dataflow: [{ reply: 'OK ${msg}' }] } } })
    expect(await pipe([socket], 'hello\n')).toMatchObject({ code: 0, stdout: 'OK hello\n' })
  })

  it.each(['--framing', '--format'])('says that %s is not for a pipe', async (option) => {
    await using server = await serve(() => undefined)
    const { code, stderr } = await pipe([String(server.port), option, option === '--framing' ? 'mllp' : 'json'], '')
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('--send') })
  })
})

describe('what went wrong, in one sentence:', () => {
  it('nobody listens', async () => {
    const port = await freePort()
    const { code, stderr } = await pipe([String(port)], '')
    expect(code).toBe(1)
    expect(sentenceOf(stderr)).toBe(`nothing listens on 127.0.0.1:${port} (connection refused)`)
  })

  it('there is no such socket', async () => {
    const path = join(folder.path, 'nobody.sock')
    const { code, stderr } = await pipe([path], '')
    expect(code).toBe(1)
    expect(sentenceOf(stderr)).toBe(`nothing listens on ${path} (no such socket)`)
  })

  it('the other side resets the connection', async () => {
    await using server = await serve((socket) => socket.once('data', () => socket.resetAndDestroy()))
    await using command = new Command(process.execPath, [sluice, 'connect', String(server.port)])
    const { code, stderr } = await command.send('hello\n').finished
    expect(code).toBe(1)
    expect(sentenceOf(stderr)).toContain('reset')
  })

  it('the address is none', async () => {
    const { code, stderr } = await runSluice(['connect', 'somewhere'])
    expect(code).toBe(2)
    expect(stderr).toContain('HOST:PORT is needed')
  })

  it('the framing does not exist', async () => {
    const { code, stderr } = await runSluice(['connect', '1', '--framing', 'mlp', '--send', 'a'])
    expect({ code, stderr }).toEqual({ code: 2, stderr: 'error: there is no framing mlp: did you mean mllp?\n' })
  })
})

describe('sluice connect --send', () => {
  it('prints the answer', async () => {
    await using running = await start({ listen: { echo } })
    const args = [`127.0.0.1:${running.port()}`, '--send', 'a\\x41é', '--eol', 'crlf']
    expect(await runSluice(['connect', ...args])).toEqual({ code: 0, stdout: 'OK aAé\n', stderr: '' })
  })

  it('waits until the answer matches, and says what came when it does not', async () => {
    await using server = await serve((socket) => {
      socket.write('hello, who is it?\n')
      socket.on('data', () => socket.write('READY\n'))
    })
    const args = ['connect', String(server.port), '--send', 'me', '--expect']
    const good = await runSluice([...args, 'READY'])
    expect(good).toEqual({ code: 0, stdout: 'hello, who is it?\nREADY\n', stderr: '' })
    const bad = await runSluice([...args, '^DONE', '--timeout', '500ms'])
    expect(bad.code).toBe(2)
    expect(bad.stderr).toBe('the answer does not match: nothing more came within 500 ms\n')
    expect(bad.stdout).toContain('READY')
  })

  it('ends with 2 when there is no answer', async () => {
    await using silent = await serve(() => undefined)
    const late = await runSluice(['connect', String(silent.port), '--send', 'a', '--timeout', '200ms'])
    expect(late).toEqual({ code: 2, stdout: '', stderr: 'no answer: nothing more came within 200 ms\n' })
    await using closing = await serve((socket) => socket.end())
    const gone = await runSluice(['connect', String(closing.port), '--send', 'a'])
    expect(gone).toEqual({ code: 2, stdout: '', stderr: 'no answer: the other side has closed the connection\n' })
  })

  it('takes an answer without a line end', async () => {
    await using server = await serve((socket) => socket.once('data', () => socket.write('\x06')))
    expect(await runSluice(['connect', String(server.port), '--send', 'a'])).toEqual({
      code: 0,
      stdout: '\x06',
      stderr: '',
    })
  })

  it('speaks in frames and values', async () => {
    await using running = await start({
      listen: { it: { ...echo, framing: 'mllp', format: 'json', dataflow: [{ reply: { value: 'msg' } }] } },
    })
    const address = `127.0.0.1:${running.port()}`
    const framed = await runSluice(['connect', address, '--framing', 'mllp', '--send', '{"a":1}'])
    expect(framed).toEqual({ code: 0, stdout: '{"a":1}\n', stderr: '' })
    const valued = await runSluice([
      'connect',
      address,
      '--framing',
      'mllp',
      '--format',
      'json',
      '--send',
      ' { "a" : 2 } ',
    ])
    expect(valued).toEqual({ code: 0, stdout: '{"a":2}\n', stderr: '' })
    const hex = await runSluice(['connect', address, '--framing', 'mllp', '--hex', '--send', '[]'])
    expect(hex.stdout).toMatch(/^000000 {2}5b 5d +\[\]\n$/)
    const wrong = await runSluice(['connect', address, '--format', 'json', '--send', '{'])
    expect({ code: wrong.code, stderr: wrong.stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^this is no JSON: /),
    })
  })

  it('needs --send for --expect', async () => {
    expect(await runSluice(['connect', '1', '--expect', 'a'])).toMatchObject({ code: 2 })
    expect(await runSluice(['connect', '1', '--send', 'a', '--expect', '('])).toMatchObject({ code: 2 })
    expect(await runSluice(['connect', '1', '--timeout', '5'])).toMatchObject({ code: 2 })
  })
})

describe('sluice connect --tls', () => {
  const [cert, key] = [join(folder.path, 'cert.pem'), join(folder.path, 'key.pem')]
  beforeAll(async () => {
    const pems = await generate([{ name: 'commonName', value: 'localhost' }])
    writeFileSync(cert, pems.cert)
    writeFileSync(key, pems.private)
  })

  it('says that it is refused behind its handshake, in a pipe and with a message', async () => {
    await using running = await start({ listen: { echo: { ...echo, tls: { cert, key, ca: cert } } } })
    const args = [`127.0.0.1:${running.port()}`, '--ca', cert, '--servername', 'localhost']
    for (const done of [await pipe(args, 'hello\n'), await runSluice(['connect', ...args, '--send', 'hello'])]) {
      expect(done).toMatchObject({ code: 1, stdout: '' })
      expect(done.stderr).toContain('a certificate of the client is required, and it sent none')
    }
  })

  it('verifies, unless it is told not to, which it says loudly', async () => {
    await using running = await start({ listen: { echo: { ...echo, tls: { cert, key } } } })
    const args = ['connect', `127.0.0.1:${running.port()}`, '--send', 'hello']
    const refused = await runSluice([...args, '--tls'])
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('signed by an authority that is not known here')
    expect(refused.stderr).toContain('--ca')
    const insecure = await runSluice([...args, '--insecure'])
    expect(insecure).toMatchObject({ code: 0, stdout: 'OK hello\n' })
    expect(insecure.stderr).toContain('warning: --insecure believes any certificate')
    const trusted = await runSluice([...args, '--ca', cert, '--servername', 'localhost'])
    expect(trusted).toEqual({ code: 0, stdout: 'OK hello\n', stderr: '' })
  })
})

describe.skipIf(!hasClient('python3'))('sluice connect at a terminal', () => {
  const spawn = 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)'
  const atTerminal = (args: readonly string[]) =>
    new Command('python3', ['-c', spawn, process.execPath, sluice, 'connect', ...args], {
      env: { XDG_STATE_HOME: folder.path, TERM: 'xterm', NO_COLOR: '1' },
    })

  it('shows what goes and comes with its time, obeys commands, and remembers what was typed', async () => {
    await using server = await serve((socket) => {
      socket.write('\x1b[2Jevil\u202e\n')
      socket.on('data', (chunk: Buffer) => socket.write(Buffer.concat([Buffer.from('OK '), chunk])))
    })
    await using terminal = atTerminal([String(server.port)])
    await terminal.hear(`connected to 127.0.0.1:${server.port}`)
    await terminal.hear(/\d\d:\d\d:\d\d\.\d{3} ← \\x1b\[2Jevil\\xe2\\x80\\xae\\n/)
    await terminal.send('gr\\x65at\r').hear(/→ great\\n/)
    await terminal.hear(/← OK great\\n/)
    await terminal.send('/hex\r').hear('bytes are shown in hexadecimal')
    await terminal.send('//a\r').hear(/→ 000000 {2}2f 61 0a/)
    await terminal.send('/what\r').hear('there is no /what')
    await terminal.send('\\q\r').hear('\\q is no escape')
    await terminal.send('/help\r').hear('/file PATH')
    const file = join(folder.path, 'some.txt')
    writeFileSync(file, 'from a file')
    await terminal.send(`/file ${file}\r`).hear('is sent: 11 bytes')
    await terminal.send('/file nowhere.txt\r').hear('ENOENT')
    await terminal.send('/quit\r').finished
    expect(terminal.stdout).not.toContain('\x1b[2J')
    await using again = atTerminal([String(server.port)])
    await again.hear('connected to')
    // Up, twice: the line before /quit.
    await again.send('\x1b[A\x1b[A\r').hear('ENOENT')
    expect(await again.send('\x03').finished).toMatchObject({ code: 0 })
  })

  it('shows what comes as escapes too when only its input is a pipe', async () => {
    await using server = await serve((socket) => socket.resume().end('\x1b[2Jevil\r\nnext'))
    await using terminal = new Command('python3', [
      '-c',
      spawn,
      'sh',
      '-c',
      `"${process.execPath}" "${sluice}" connect ${server.port} < /dev/null`,
    ])
    expect((await terminal.finished).stdout).toBe('\\x1b[2Jevil\r\nnext')
  })

  it('says that the other side has closed, and can end its own side first', async () => {
    await using server = await serve((socket) => {
      socket.resume().on('end', () => socket.end('last words'))
    })
    await using terminal = atTerminal([String(server.port), '--no-history'])
    await terminal.hear('connected to')
    await terminal.send('/end\r').hear('← last words')
    await terminal.hear('the other side has closed the connection')
    expect(await terminal.finished).toMatchObject({ code: 0 })
  })

  it('shows frames and what is wrong with them', async () => {
    await using server = await serve((socket) => {
      socket.write('{"a":1}\n{"a":\n')
    })
    await using terminal = atTerminal([String(server.port), '--format', 'json', '--no-history'])
    await terminal.hear('← {"a":1}')
    await terminal.hear(/! .*JSON/)
    await terminal.send('nope\r').hear('this is no JSON')
    await terminal.send('\x04').finished
  })
})

/** The one sentence of a failure; below it there may be what to do. */
function sentenceOf(stderr: string): string {
  const [sentence, ...rest] = stderr.trimEnd().split('\n')
  for (const line of rest) expect(line).toMatch(/^ {2}→ /)
  return sentence!
}
