import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { connect as connectTls } from 'node:tls'
import { afterAll, describe, expect, it } from 'vitest'
import { hasClient } from '../../scripts/debian-clients.ts'
import { RunningSluice, runSluice } from '../support/cli.ts'
import { findOldNode, run, sluice } from '../support/command.ts'
import { exampleFile } from '../support/example.ts'
import { freePort } from '../support/free-port.ts'
import { Peer } from '../support/peer.ts'
import { temporaryFolder } from '../support/server.ts'

const ESC = '\x1b'
const oldNode = await findOldNode()
const folder = temporaryFolder()
afterAll(() => folder[Symbol.dispose]())

/** Writes a file for a test and gives its path. */
function write(name: string, text: string): string {
  const path = join(folder.path, name)
  writeFileSync(path, text)
  return path
}

const quickStart = readFileSync(exampleFile('quick-start'), 'utf8').replace('port: 8000', 'port: 0')
const echo = 'listen: { echo: { host: 127.0.0.1, port: 0, dataflow: [ reply: "${msg}" ] } }\n'

describe('sluice run', () => {
  it('prints how to connect, greets, stores, answers, and ends with 0 after SIGTERM', async () => {
    await using running = await RunningSluice.start(quickStart)
    const port = running.port('quickstart')
    for (const hint of [
      `nc 127.0.0.1 ${port}`,
      `telnet 127.0.0.1 ${port}`,
      `Host Name: 127.0.0.1   Port: ${port}   Connection type: Raw`,
      `plink -raw -P ${port} 127.0.0.1`,
      `packetsender -a -w 1000 127.0.0.1 ${port}`,
    ]) {
      expect(running.command.stdout).toContain(hint)
    }
    await using client = await Peer.connect(port)
    await client.hear('Welcome to Sluice, 127.0.0.1.')
    client.send('hello\n')
    await client.hear('Stored: hello\n')
    running.command.signal('SIGTERM')
    await client.end()
    expect(await running.command.finished).toMatchObject({ code: 0 })
    const database = new DatabaseSync(join(running.folder, 'quick-start.db'), { readOnly: true })
    expect(database.prepare('SELECT text FROM lines').all()).toEqual([{ text: 'hello' }])
    database.close()
    expect(await running.logged('connection.closed')).toMatchObject({ reason: 'drained' })
  })

  it('logs JSON when it is piped: one line when a client comes, one with a reason when it goes', async () => {
    await using running = await RunningSluice.start(echo)
    await using client = await Peer.connect(running.port('echo'))
    await client.send('hello\n').finish().end()
    const closed = await running.logged('connection.closed')
    expect(closed).toMatchObject({ level: 'info', endpoint: 'echo', reason: 'client_closed', messagesIn: 1 })
    const about = running.log.filter(({ client }) => client === closed['client'])
    expect(about.map(({ event }) => event)).toEqual(['connection.opened', 'connection.closed'])
    expect(running.command.stderr).not.toContain(ESC)
  })

  it('ends at Ctrl-C as at SIGTERM', async () => {
    await using running = await RunningSluice.start(echo)
    running.command.signal('SIGINT')
    expect(await running.command.finished).toMatchObject({ code: 0 })
  })

  it('is not ready from the start of a drain, and a second signal stops it at once', async () => {
    // Nothing listens on the port of a sink that has ended, so the message is tried again and holds the drain.
    const gone = await freePort()
    const config = `
admin: 0
listen:
  lines:
    host: 127.0.0.1
    port: 0
    dataflow:
      - tcp: { host: 127.0.0.1, port: ${gone} }
        retry: { for: 1h }
`
    await using running = await RunningSluice.start(config)
    expect(await running.get('/health/ready')).toMatchObject({ status: 200 })
    await using client = await Peer.connect(running.port('lines'))
    client.send('hello\n')
    await running.logged('sink.retried')
    running.command.signal('SIGTERM')
    await running.logged('server.draining')
    expect(await running.get('/health/ready')).toMatchObject({ status: 503, body: expect.stringContaining('draining') })
    expect(await running.get('/health/live')).toMatchObject({ status: 200 })
    const before = performance.now()
    // Signals that follow the first at once count as the same one, so this one is repeated until it counts.
    const again = setInterval(() => running.command.signal('SIGTERM'), 50)
    await running.command.finished
    clearInterval(again)
    // Much less than the 15 seconds that the first signal gave it.
    expect(performance.now() - before).toBeLessThan(5000)
    // What could not be delivered is kept.
    expect(await running.logged('message.failed')).toMatchObject({ outcome: 'dead letter', bytes: 'hello' })
  })

  it('serves metrics', async () => {
    await using running = await RunningSluice.start(`${echo}admin: { port: 0 }\n`)
    expect((await running.logged('admin.opened')).text).toMatch(
      /^admin: http:\/\/127\.0\.0\.1:\d+ \(\/metrics, \/health\/live, \/health\/ready\)$/,
    )
    await using client = await Peer.connect(running.port('echo'))
    await client.send('hello\n').hear('hello\n')
    const { status, body } = await running.get('/metrics')
    expect(status).toBe(200)
    expect(body).toMatch(/^sluice_connections\{endpoint="echo"\} 1$/m)
    expect(body).toMatch(/^sluice_messages_received_total\{endpoint="echo"\} 1$/m)
  })

  it.each([
    ['an SSH client', 'SSH-2.0-PuTTY_Release_0.81\r\n', 'set the connection type to Raw'],
    ['telnet', '\xff\xfb\x1f\xff\xfb\x20\xff\xfb\x18', 'telnet'],
    ['HTTP', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'HTTP'],
  ])('leaves a hint in the log when %s comes to a plain port', async (_, bytes, hint) => {
    await using running = await RunningSluice.start(echo)
    await using client = await Peer.connect(running.port('echo'))
    client.send(Buffer.from(bytes, 'latin1'))
    expect((await running.logged('connection.spoke')).text).toContain(hint)
  })

  it('leaves a hint in the log when TLS comes to a plain port', async () => {
    await using running = await RunningSluice.start(echo)
    const client = connectTls({ host: '127.0.0.1', port: running.port('echo') })
    client.on('error', () => undefined)
    expect((await running.logged('connection.spoke')).text).toContain('TLS')
    client.destroy()
  })

  it('says in one sentence that a port is in use', async () => {
    await using first = await RunningSluice.start(echo)
    const port = first.port('echo')
    const taken = write('taken.yaml', echo.replace('port: 0', `port: ${port}`))
    const { code, stdout, stderr } = await runSluice(['run', taken])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(sentencesOf(stderr)).toEqual([
      expect.stringMatching(new RegExp(`^echo: something else listens on port ${port}\\. .+\\.$`)),
    ])
  })

  it('says in one sentence that the port of admin is in use', async () => {
    await using first = await RunningSluice.start(echo)
    const taken = write('admin-taken.yaml', `${echo}admin: ${first.port('echo')}\n`)
    const { code, stderr } = await runSluice(['run', taken])
    expect(code).toBe(1)
    expect(sentencesOf(stderr)).toEqual([
      expect.stringMatching(/^admin: something else listens on 127\.0\.0\.1:\d+\. .+\.$/),
    ])
  })

  it('names every mistake of a configuration with its position, and starts nothing', async () => {
    const file = write(
      'wrong.yaml',
      'listen:\n  a:\n    port: 99999\n    framin: line\n    dataflow:\n      - replay: hi\n',
    )
    const { code, stdout, stderr } = await runSluice(['run', file])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    for (const position of ['3:11', '4:5', '6:9']) expect(stderr).toContain(`${file}:${position}`)
    expect(stderr).toContain('did you mean reply?')
  })

  it('says which file is missing', async () => {
    const { code, stderr } = await runSluice(['run', join(folder.path, 'nowhere.yaml')])
    expect(code).toBe(1)
    expect(stderr).toContain('there is no file')
    expect(stderr).not.toContain('    at ')
  })

  it('needs a unit for --drain-timeout', async () => {
    const { code, stderr } = await runSluice(['run', '--drain-timeout', '5', exampleFile('echo')])
    expect(code).toBe(2)
    expect(stderr).toContain("option '--drain-timeout' needs a time with a unit")
  })
})

describe('sluice check', () => {
  it('says in words what each endpoint promises', async () => {
    const { code, stdout, stderr } = await runSluice(['check', exampleFile('barcode-scanner')])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('after the row is committed')
    expect(stdout).toContain('is valid')
  })

  it('prints nothing with --quiet when all is well', async () => {
    expect(await runSluice(['check', '--quiet', exampleFile('chat')])).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  it('ends with 1 for a mistake', async () => {
    const file = write('mistake.yaml', 'listen: { a: { port: 7000, dataflow: [ filter: msg.temp > ] } }\n')
    const { code, stdout, stderr } = await runSluice(['check', file])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(`${file}:1:`)
  })
})

describe('sluice test', () => {
  it('runs the cases beside a configuration', async () => {
    const { code, stdout } = await runSluice(['test', exampleFile('barcode-scanner')])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^✓ scanners: a code is stored, then acknowledged$/m)
    expect(stdout).toMatch(/^3 passed, 0 failed$/m)
  })

  it('ends with 1 and says what came instead when a case fails', async () => {
    const config = write('cases.yaml', echo)
    write('cases.test.yaml', 'tests: [ { name: wrong, endpoint: echo, sends: "a\\n", replies: "b\\n" } ]\n')
    const { code, stdout } = await runSluice(['test', config])
    expect(code).toBe(1)
    expect(stdout).toBe(
      '✗ echo: wrong\n    sent in one piece: replies: expected "b\\n", "a\\n" came\n0 passed, 1 failed\n',
    )
  })

  it('says where the cases belong when there are none', async () => {
    const { code, stderr } = await runSluice(['test', write('alone.yaml', echo)])
    expect(code).toBe(1)
    expect(stderr).toContain(join(folder.path, 'alone.test.yaml'))
  })

  it.each(['nowhere.yaml', 'nowhere.test.yaml', 'nowhere'])('says that there is no %s', async (name) => {
    const file = join(folder.path, name)
    expect(await runSluice(['test', file])).toEqual({ code: 1, stdout: '', stderr: `${file} does not exist\n` })
  })
})

describe('sluice list and sluice schema', () => {
  it('list what there is, of a kind or of all', async () => {
    const framings = await runSluice(['list', 'framing'])
    expect(framings.code).toBe(0)
    expect(framings.stdout).toMatch(/^framings\n {2}/)
    expect(framings.stdout).not.toContain('sinks')
    expect(await runSluice(['list', 'framings'])).toEqual(framings)
    const { stdout } = await runSluice(['list'])
    for (const word of ['framings', 'formats', 'steps', 'sinks', 'mllp', 'json', 'reply', 'sqlite']) {
      expect(stdout).toContain(word)
    }
  })

  it('print the schema that is in the package', async () => {
    const { code, stdout } = await runSluice(['schema'])
    expect(code).toBe(0)
    const inPackage = readFileSync(new URL('../../schema/sluice.schema.json', import.meta.url), 'utf8')
    expect(JSON.parse(stdout)).toEqual(JSON.parse(inPackage))
  })

  it('end well when the reader has seen enough', async () => {
    const { code, stderr } = await run('sh', ['-c', `"${process.execPath}" "${sluice}" schema | head -n 1`])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })
})

describe('sluice dead', () => {
  it('lists dead letters and shows one with its bytes', async () => {
    await using running = await RunningSluice.start(
      'listen: { numbers: { port: 0, format: json, dataflow: [ map: msg.a * 2, reply: { value: msg } ] } }\n',
    )
    await using client = await Peer.connect(running.port('numbers'))
    client.send('{"a":1}\nno json\n{"a":2}\n')
    await client.hear('4\n')
    running.command.signal('SIGTERM')
    await running.command.finished
    const data = join(running.folder, 'sluice-data')
    const list = await runSluice(['dead', 'list', '--data', data])
    expect(list.code).toBe(0)
    // The same by the configuration, the one that is named and the one that lies here.
    expect(await runSluice(['dead', 'list', join(running.folder, 'sluice.yaml')])).toEqual(list)
    expect(await runSluice(['dead', 'list', '--since', '1h'], { cwd: running.folder })).toEqual(list)
    expect((await runSluice(['dead', 'list', '--since', '0s', '--data', data])).stdout).toBe('')
    expect(list.stdout).toMatch(/^1 {2}\S+ {2}numbers {2}format_invalid {2}.*\n {4}no json\n$/)
    const show = await runSluice(['dead', 'show', '1', '--data', data])
    expect(show.code).toBe(0)
    expect(show.stdout).toContain('000000  6e 6f 20 6a 73 6f 6e')
    expect(show.stdout).toMatch(/^step {6}framing or format$/m)
    const none = await runSluice(['dead', 'show', '2', '--data', data])
    expect(none).toMatchObject({ code: 1, stderr: 'there is no dead letter 2\n' })
  })

  it('says that there are none yet', async () => {
    const data = join(folder.path, 'empty')
    mkdirSync(data)
    const { code, stderr } = await runSluice(['dead', 'list', '--data', data])
    expect(code).toBe(1)
    expect(stderr).toBe(
      `no dead letters yet in ${data}; if the server keeps them elsewhere, name its configuration, or --data\n`,
    )
  })

  it('refuses a wrong count as wrong usage', async () => {
    expect(await runSluice(['dead', 'list', '--limit', 'x'])).toMatchObject({ code: 2 })
    expect(await runSluice(['dead', 'list', '--since', '5'])).toMatchObject({ code: 2 })
  })
})

describe('the command line', () => {
  it('explains itself', async () => {
    const { code, stdout, stderr } = await runSluice(['--help'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    for (const word of ['run', 'check', 'test', 'list', 'schema', 'dead', 'Exit codes', 'sluice run sluice.yaml']) {
      expect(stdout).toContain(word)
    }
    expect((await runSluice(['run', '--help'])).stdout).toContain('--hints')
  })

  it.each([
    [['help'], ['--help']],
    [
      ['help', 'run'],
      ['run', '--help'],
    ],
    [
      ['help', 'dead', 'list'],
      ['dead', 'list', '--help'],
    ],
    [
      ['dead', 'help', 'list'],
      ['dead', 'list', '--help'],
    ],
    [
      ['data', 'help'],
      ['data', '--help'],
    ],
  ])('says with %j what it says with %j', async (args, same) => {
    const said = await runSluice(args)
    expect(said).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Usage: sluice /), stderr: '' })
    expect(said).toEqual(await runSluice(same))
  })

  it.each([
    [['help', 'bogus'], "error: unknown command 'bogus'\n(sluice --help lists the commands)\n"],
    [['help', 'chek'], "error: unknown command 'chek'\n(Did you mean check?)\n(sluice --help lists the commands)\n"],
    [['help', 'dead', 'bogus'], "error: unknown command 'bogus'\n(sluice --help lists the commands)\n"],
    [['dead', 'help', 'bogus'], "error: unknown command 'bogus'\n"],
    [['dead', 'bogus'], "error: unknown command 'bogus'\n"],
  ])('ends with 2 and a sentence for %j', async (args, stderr) => {
    expect(await runSluice(args)).toEqual({ code: 2, stdout: '', stderr })
  })

  it('knows its version', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
    expect(await runSluice(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
  })

  it.each([
    [['rn'], 'Did you mean run?'],
    [['run', '--hnts'], 'Did you mean --hints?'],
    [['list', 'frames'], 'framing, format, step, sink'],
  ])('ends with 2 and a suggestion for %j', async (args, suggestion) => {
    const { code, stdout, stderr } = await runSluice(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(suggestion)
  })

  it('writes colours only where they are wanted', async () => {
    const args = ['check', exampleFile('echo')]
    expect((await runSluice(args)).stdout).not.toContain(ESC)
    expect((await runSluice(args, { env: { FORCE_COLOR: '1' } })).stdout).toContain(ESC)
  })

  it.skipIf(!hasClient('python3'))('writes colours on a terminal, unless NO_COLOR is set', async () => {
    const inTerminal = (env: Record<string, string>) => {
      const command = [process.execPath, sluice, 'check', exampleFile('echo')]
      const script = `import pty; pty.spawn(${JSON.stringify(command)})`
      return run('python3', ['-c', script], { env: { TERM: 'xterm-256color', ...env } })
    }
    expect((await inTerminal({})).stdout).toContain(ESC)
    expect((await inTerminal({ NO_COLOR: '1' })).stdout).not.toContain(ESC)
  })

  it.skipIf(oldNode === undefined)('gives one sentence on a Node that is too old', async () => {
    const { code, stdout, stderr } = await run(oldNode!, [sluice, 'run', exampleFile('echo')])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^sluice needs Node\.js 24 or newer; this is v\d+\.\d+\.\d+\. .*\n$/)
  })
})

/** What is on standard error beside the lines of the log. */
function sentencesOf(stderr: string): string[] {
  return stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'))
}

describe('a folder of configurations', () => {
  it('is checked and tested as one', async () => {
    using configs = temporaryFolder()
    const file = (name: string, text: string) => writeFileSync(join(configs.path, name), text)
    file('a.yaml', echo)
    file('b.yaml', 'schedule: { tick: { every: 1h, runAtStart: true, dataflow: [ { log: "it is time" } ] } }')
    file('a.test.yaml', 'tests: [ { name: hello, endpoint: echo, sends: "hello\\n", replies: "hello\\n" } ]')
    file('b.test.yaml', 'tests: [ { name: a run, endpoint: tick, sends: "" } ]')
    const checked = await runSluice(['check', configs.path])
    expect(checked).toMatchObject({ code: 0, stderr: '' })
    expect(checked.stdout).toContain(`${configs.path} is valid`)
    const tested = await runSluice(['test', configs.path])
    expect(tested).toMatchObject({ code: 0, stdout: expect.stringContaining('2 passed, 0 failed') })
  })

  it('without cases says where they belong', async () => {
    using configs = temporaryFolder()
    const { code, stderr } = await runSluice(['test', configs.path])
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `${configs.path} has no file that ends in .test.yaml; the cases belong there\n`,
    })
  })
})
