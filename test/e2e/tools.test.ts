/** `sluice sniff`, `sluice new` and `sluice completion`, as a user starts them. */
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { afterAll, describe, expect, it } from 'vitest'
import { hasClient } from '../../scripts/debian-clients.ts'
import { RunningSluice, runSluice } from '../support/cli.ts'
import { Command, run, sluice } from '../support/command.ts'
import { Peer } from '../support/peer.ts'
import { temporaryFolder } from '../support/server.ts'

const folder = temporaryFolder()
afterAll(() => folder[Symbol.dispose]())

async function sniff(...args: readonly string[]): Promise<{ command: Command; port: number } & AsyncDisposable> {
  const command = new Command(process.execPath, [sluice, 'sniff', '0', '--host', '127.0.0.1', ...args], {
    cwd: folder.path,
  })
  const [, port] = /listening on port (\d+)/.exec(await command.hear(/listening on port \d+/))!
  return { command, port: Number(port), [Symbol.asyncDispose]: () => command[Symbol.asyncDispose]() }
}

/** The configuration at the end of what was printed. */
function configurationIn(stdout: string): string {
  return /^(?:# .*\n)?(?:listen|connect):\n(?:^ .*\n)+/m.exec(stdout)![0]
}

describe('sluice sniff', () => {
  it('shows what comes, and proposes a configuration that takes it', async () => {
    await using sniffer = await sniff('--once')
    await using device = await Peer.connect(sniffer.port)
    device.send('{"t":21.5}\n{"t')
    await sniffer.command.hear('000000  7b 22 74 22 3a 32 31 2e 35 7d 0a 7b 22 74')
    await device.send('":22}\n').finish().end()
    const { code, stdout, stderr } = await sniffer.command.finished
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/127\.0\.0\.1:\d+ has connected\n/)
    expect(stdout).toMatch(/5 bytes {2}\+\d+ ms\n|6 bytes {2}\+\d+ ms\n/)
    expect(stdout).toContain('sure: framing line, format json')
    expect(stdout).toContain('- every message is JSON')
    const config = configurationIn(stdout)
    await using running = await RunningSluice.start(config.replace(/port: \d+/, 'port: 0'))
    await using again = await Peer.connect(running.port('device'))
    again.send('{"t":23}\n')
    await running.command.hear('{"t":23}')
    expect(existsSync(join(folder.path, 'sluice-data'))).toBe(false)
  })

  it('proposes when the device is quiet, and ends at Ctrl-C', async () => {
    await using sniffer = await sniff()
    await using device = await Peer.connect(sniffer.port)
    device.send('\x024006381333931\x03\x02036000291452\x03')
    await sniffer.command.hear('framing stx-etx, format text')
    sniffer.command.signal('SIGINT')
    const { code, stdout } = await sniffer.command.finished
    expect(code).toBe(0)
    expect(stdout.split('listen:')).toHaveLength(2)
  })

  it('is unsure rather than wrong', async () => {
    await using sniffer = await sniff('--once')
    await using device = await Peer.connect(sniffer.port)
    await device.send('Hello from the client!').finish().end()
    const { stdout } = await sniffer.command.finished
    expect(stdout).toMatch(/^unsure$/m)
    expect(configurationIn(stdout)).toContain('framing: raw\n    format: bytes')
  })

  it('warns when TLS comes', async () => {
    await using sniffer = await sniff()
    const client = connectTls({ host: '127.0.0.1', port: sniffer.port })
    client.on('error', () => undefined)
    await sniffer.command.hear('warning: The other side speaks TLS')
    client.destroy()
  })

  it('answers a device that waits for it', async () => {
    await using sniffer = await sniff('--answer', '\\x06 $ ${msg}')
    await using device = await Peer.connect(sniffer.port)
    await device.send('a\n').hear('\x06 $ ${msg}')
  })

  it('connects to a device', async () => {
    const server = createServer((socket) => socket.end('S1;12.5\r\nS2;13.0\r\n')).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const { code, stdout } = await runSluice(['sniff', '--connect', `127.0.0.1:${port}`, '--once'])
    server.close()
    expect(code).toBe(0)
    expect(configurationIn(stdout)).toContain(
      `connect:\n  device:\n    host: 127.0.0.1\n    port: ${port}\n    framing: line`,
    )
  })

  it('says in one sentence that the port is taken', async () => {
    await using first = await sniff()
    const { code, stderr } = await runSluice(['sniff', String(first.port), '--host', '127.0.0.1'])
    expect(code).toBe(1)
    expect(stderr).toMatch(new RegExp(`^something else listens on port ${first.port}\\. .+\\.\\n$`))
  })

  it.each([[[]], [['9100', '--connect', '1']], [['x']], [['99999']]])('ends with 2 for %j', async (args) => {
    expect(await runSluice(['sniff', ...args])).toMatchObject({ code: 2, stdout: '' })
  })
})

/** `sluice new` at a terminal of a usual size. */
function askAtTerminal(cwd: string): Command {
  const spawn = 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)'
  const sized = 'stty cols 90 rows 30; exec "$0" "$@"'
  return new Command('python3', ['-c', spawn, 'sh', '-c', sized, process.execPath, sluice, 'new'], { cwd })
}

describe('sluice new', () => {
  it('writes a project that passes its own tests', async () => {
    const { code, stdout } = await runSluice(['new', 'scanner', '--port', '2500'], { cwd: folder.path })
    expect(code).toBe(0)
    expect(stdout).toContain('cd scanner')
    const project = join(folder.path, 'scanner')
    expect(readFileSync(join(project, 'sluice.yaml'), 'utf8')).toContain('port: 2500')
    expect(await runSluice(['test'], { cwd: project })).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('3 passed, 0 failed'),
    })
    const again = await runSluice(['new', 'scanner'], { cwd: folder.path })
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('--force writes over it') })
    expect(await runSluice(['new', 'scanner', '--force'], { cwd: folder.path })).toMatchObject({ code: 0 })
  })

  it('says where it cannot write', async () => {
    const { code, stderr } = await runSluice(['new', 'blank', '/proc/nope'])
    expect(code).toBe(1)
    expect(stderr).toContain('/proc/nope')
  })

  it('lists the templates when none is named and nobody can be asked', async () => {
    const { code, stderr } = await runSluice(['new'])
    expect(code).toBe(2)
    expect(stderr).toMatch(/^ {2}scanner {2}Barcode scanners/m)
    expect(await runSluice(['new', 'nope'])).toMatchObject({ code: 2, stderr: expect.stringContaining('scanner') })
  })

  it.skipIf(!hasClient('python3'))('asks at a terminal', async () => {
    const at = join(folder.path, 'asked')
    mkdirSync(at)
    await using terminal = askAtTerminal(at)
    await terminal.hear('What is it for?')
    // Down: from chat to gps.
    await terminal.send('\x1b[B\r').hear('Into which folder?')
    await terminal.send('\r').hear('On which port?')
    await terminal.send('\r').hear('sluice test')
    expect(await terminal.finished).toMatchObject({ code: 0 })
    expect(readFileSync(join(at, 'gps/sluice.yaml'), 'utf8')).toContain('port: 10110')
  })

  it.skipIf(!hasClient('python3'))('writes nothing when the user has thought better of it', async () => {
    const at = join(folder.path, 'left')
    mkdirSync(at)
    await using terminal = askAtTerminal(at)
    await terminal.hear('What is it for?')
    await terminal.send('\x03').hear('Nothing was written.')
    await terminal.finished
    expect(existsSync(join(at, 'chat'))).toBe(false)
  })
})

describe('sluice completion', () => {
  const project = join(folder.path, 'project')
  mkdirSync(join(project, 'conf.d'), { recursive: true })
  writeFileSync(join(project, 'sluice.yaml'), '')
  writeFileSync(join(project, 'notes.txt'), '')

  /** What bash proposes behind a line, by the script that it was given. */
  async function complete(...words: readonly string[]): Promise<string[]> {
    const program = `
set -u
sluice() { "${process.execPath}" "${sluice}" "$@"; }
source <(sluice completion bash)
source <(sluice completion bash)
COMP_WORDS=(sluice "$@"); COMP_CWORD=$#
_sluice
printf '%s\\n' "\${COMPREPLY[@]-}"
`
    const { stdout, stderr } = await run('bash', ['-c', program, 'bash', ...words], { cwd: project })
    expect(stderr).toBe('')
    return stdout.split('\n').filter((line) => line !== '')
  }

  it.each<[string[], string[]]>([
    [['sn'], ['sniff']],
    [['dead', 's'], ['show']],
    [['connect', '--fr'], ['--framing']],
    [['connect', '--framing', 'ml'], ['mllp']],
    [['connect', '--framing', '=', 'ml'], ['mllp']],
    [['connect', '--format', 'js'], ['json']],
    [
      ['connect', '--eol', 'cr'],
      ['crlf', 'cr'],
    ],
    [
      ['new', 'sca'],
      ['scale', 'scanner'],
    ],
    [['list', 'fr'], ['framing']],
    [['completion', 'f'], ['fish']],
    [
      ['run', ''],
      ['conf.d/', 'sluice.yaml'],
    ],
    [['run', '$(touch hacked)'], []],
    [['dead', 'show', ''], []],
  ])('bash, behind sluice %j: %j', async (words, proposals) => {
    expect(await complete(...words)).toEqual(proposals)
    expect(existsSync(join(project, 'hacked'))).toBe(false)
  })

  it('knows the numbers of dead letters', async () => {
    await using running = await RunningSluice.start(
      'listen: { numbers: { port: 0, format: json, dataflow: [ reply: ok ] } }\n',
    )
    await using client = await Peer.connect(running.port('numbers'))
    await client.send('no json\n1\n').hear('ok')
    running.command.signal('SIGTERM')
    await running.command.finished
    const { stdout } = await runSluice(['complete', '--', 'dead', 'show', ''], { cwd: running.folder })
    expect(stdout).toBe('1\tnumbers: format_invalid\n:4\n')
  })

  it.each(['bash', 'zsh', 'fish', 'powershell'])('prints a script for %s', async (shell) => {
    const { code, stdout, stderr } = await runSluice(['completion', shell])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/sluice complete '?--/)
  })

  it('says which shells there are', async () => {
    expect(await runSluice(['completion', 'tcsh'])).toMatchObject({ code: 2, stderr: expect.stringContaining('fish') })
    expect((await runSluice(['--help'])).stdout).not.toMatch(/^ {2}complete /m)
  })
})
