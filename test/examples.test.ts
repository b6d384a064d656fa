import { once } from 'node:events'
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import ModbusRTU, { ServerTCP } from 'modbus-serial'
import { connectAsync } from 'mqtt'
import { describe, expect, it } from 'vitest'
import { hasClient } from '../scripts/debian-clients.ts'
import { readPlan } from '../src/config/read-plan.ts'
import { readDeadLetters } from '../src/delivery/dead-letter-files.ts'
import { DEAD_LETTERS_FILE } from '../src/delivery/dead-letters.ts'
import { readCases } from '../src/testing/read-cases.ts'
import { runCase } from '../src/testing/run-case.ts'
import { run } from './support/command.ts'
import { type ExampleConfig, exampleFile, startExample } from './support/example.ts'
import { freePort } from './support/free-port.ts'
import { Mosquitto } from './support/mosquitto.ts'
import { eventually } from './support/parts.ts'
import { Peer } from './support/peer.ts'
import { type Running, temporaryFolder } from './support/server.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const folders = readdirSync(join(root, 'examples'))
const configured = folders.filter((name) => existsSync(exampleFile(name)))

/** One conversation with each example over real sockets. Every folder of `examples/` must have one. */
const conversations: Record<string, () => Promise<void>> = {
  async 'astm-analyser'() {
    await using running = await startExample('astm-analyser')
    await using analyser = await Peer.connect(running.port())
    const header = '1H|\\^&|||ABX|||||||P|E1394-97|20050111111502\r\x0347'
    const frames = [header, '2R|1|^^^GLU|5.24|mmol/L\r\x03B0', '3L|1|N\r\x0306']
    analyser.send('\x05')
    await analyser.hear('\x06')
    for (const [index, frame] of frames.entries()) {
      analyser.send(`\x02${frame}\r\n`)
      await analyser.until(({ text }) => text === '\x06'.repeat(index + 2))
    }
    const results =
      "SELECT analyser, json_extract(value, '$[3]') AS result FROM messages, json_each(records) WHERE json_extract(value, '$[0]') = 'R'"
    expect(rows(running, 'results.db', results)).toEqual([{ analyser: 'ABX', result: '5.24' }])
  },

  async 'barcode-scanner'() {
    await using running = await startExample('barcode-scanner')
    await using scanner = await Peer.connect(running.port())
    scanner.send('4006381333931\r')
    await scanner.until(({ text }) => text === '\x06')
    expect(rows(running, 'scans.db', 'SELECT code, scanner FROM scans')).toEqual([
      { code: '4006381333931', scanner: '127.0.0.1' },
    ])
    scanner.send('no code\r')
    await scanner.until(({ text }) => text === '\x06\x15')
    refuseInserts(running, 'scans.db', 'scans')
    scanner.send('12345678\r')
    await scanner.until(({ text }) => text === '\x06\x15\x15')
    expect(rows(running, 'scans.db', 'SELECT code FROM scans')).toHaveLength(1)
    await running.server.stop()
    expect(readDeadLetters(join(running.folder, 'sluice-data', DEAD_LETTERS_FILE))).toMatchObject([
      { endpoint: 'scanners', code: 'sink_failed', raw: Buffer.from('12345678') },
    ])
  },

  async chat() {
    await using running = await startExample('chat')
    await using ann = await Peer.connect(running.port())
    await ann.hear('What is your name?\n')
    ann.send('Ann\n')
    await ann.hear('Hello, Ann.')
    await using bob = await Peer.connect(running.port())
    bob.send('Bob\n')
    await bob.hear('Hello, Bob.')
    await ann.hear('* Bob joined\n')
    ann.send('hello\n')
    await bob.hear('Ann: hello\n')
    bob.send('hi\n').finish()
    await ann.hear('Bob: hi\n')
    await ann.hear('* Bob left\n')
    expect(ann.text).not.toContain('Ann: hello')
  },

  async 'command-from-mqtt'() {
    await using broker = hasClient('mosquitto') ? await Mosquitto.start() : undefined
    await using running = await startExample('command-from-mqtt', ({ subscribe }) => {
      const { mqtt } = subscribe!['commands'] as { mqtt: object }
      // Nothing listens at port 1, and Sluice runs all the same.
      Object.assign(mqtt, { url: `mqtt://127.0.0.1:${broker?.port ?? 1}` })
    })
    await running.event(broker === undefined ? 'subscription.failed' : 'subscription.opened')
    await using display = await Peer.connect(running.port())
    display.send('a\n')
    await display.hear('READY a\n')
    if (broker === undefined) return
    const publisher = await connectAsync(`mqtt://127.0.0.1:${broker.port}`)
    await publisher.publishAsync('displays/b', 'not for us', { qos: 1 })
    await publisher.publishAsync('displays/a', 'Shift change at 14:00', { qos: 1 })
    await publisher.endAsync()
    await display.hear('Shift change at 14:00\n')
    expect(display.text).toBe('READY a\nShift change at 14:00\n')
    await running.server.stop()
    expect(rows(running, 'commands.db', 'SELECT line, text FROM commands')).toEqual([
      { line: 'b', text: 'not for us' },
      { line: 'a', text: 'Shift change at 14:00' },
    ])
  },

  async echo() {
    await using running = await startExample('echo')
    await using lines = await Peer.connect(running.port('echo'))
    expect(await lines.send('hello\r\nworld\n').finish().end()).toBe('hello\nworld\n')
    await using bytes = await Peer.connect(running.port('echo-bytes'))
    bytes.send(Buffer.from([1, 2, 255]))
    await bytes.hear('\x01\x02\xff')
  },

  async 'embedded-library'() {
    expect(existsSync(join(root, 'dist')), 'dist/ is missing: npm run build makes it').toBe(true)
    using folder = temporaryFolder()
    const program = join(root, 'examples/embedded-library/server.ts')
    const { stdout, stderr, code } = await run(process.execPath, [program], { cwd: folder.path })
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 })
    expect(stdout).toMatch(/^listening on port \d+\nSKIP scale-7\nOK scale-7 at 127\.0\.0\.1: 95 °F are stored\n$/)
    const database = new DatabaseSync(join(folder.path, 'readings.db'), { readOnly: true })
    expect(database.prepare('SELECT device, fahrenheit FROM readings').all()).toEqual([
      { device: 'scale-7', fahrenheit: 95 },
    ])
    database.close()
  },

  async 'gps-tracker'() {
    await using running = await startExample('gps-tracker')
    await using tracker = await Peer.connect(running.port())
    const login = '78780d01012345678901234500018cdd0d0a'
    const position = '78781f120b081d112e10cf027ac7eb0c46584900148f01cc00287d001fb8000380810d0a'
    // Cut in the middle of the second message.
    tracker.send(Buffer.from(login + position.slice(0, 20), 'hex'))
    tracker.send(Buffer.from(position.slice(20), 'hex'))
    await tracker.until(({ received }) => received.toString('hex') === '787805010001d9dc0d0a787805120003903f0d0a')
    expect(rows(running, 'positions.db', 'SELECT imei, lat, lon, satellites FROM positions')).toEqual([
      { imei: '0123456789012345', lat: 23.111668, lon: 114.409285, satellites: 15 },
    ])
  },

  async 'hl7-mllp'() {
    await using running = await startExample('hl7-mllp')
    await using lab = await Peer.connect(running.port())
    const send = (id: number) =>
      lab.send(`\x0bMSH|^~\\&|LAB|A|EHR|B|20260101||ORU^R01|${id}|P|2.5\rPID|1||4444^^^A\r\x1c\r`)
    send(4711)
    await lab.hear('MSA|AA|4711\r\x1c\r')
    expect(lab.text.startsWith('\x0bMSH|^~\\&|EHR|B|LAB|A|')).toBe(true)
    send(4711)
    await lab.until(({ text }) => text.split('MSA|AA|4711\r\x1c\r').length === 3)
    expect(rows(running, 'hl7.db', 'SELECT control_id, type FROM messages')).toEqual([
      { control_id: '4711', type: 'ORU^R01' },
    ])
    refuseInserts(running, 'hl7.db', 'messages')
    send(4712)
    await lab.hear('MSA|AE|4712|')
    lab.send('\x0bhello\x1c\r')
    await lab.hear('MSA|AR||')
  },

  async 'http-answer'() {
    const articles = join(root, 'examples/http-answer/articles.csv')
    await using running = await startExample('http-answer', withFile('articles.csv', articles))
    if (!hasClient('curl')) {
      await using peer = await Peer.connect(running.port())
      const answer = await peer.send('GET /articles/4006381333931 HTTP/1.1\r\n\r\n').end()
      expect(answer).toContain('{"ean":"4006381333931","name":"Pen","price":"0.99"}\n')
      return
    }
    const curl = async (path: string, ...args: string[]) => {
      const url = `http://127.0.0.1:${running.port()}${path}`
      const { stdout, code } = await run('curl', ['-s', '-w', '%{http_code}', ...args, url])
      expect(code).toBe(0)
      return stdout
    }
    expect(await curl('/articles/4006381333931')).toBe('{"ean":"4006381333931","name":"Pen","price":"0.99"}\n200')
    expect(await curl('/articles/7?lang=de')).toBe('{"error":"no such article"}\n404')
    expect(await curl('/articles/7', '-I')).toMatch(/^HTTP\/1\.1 404 .*\r\n\r\n404$/s)
    expect(await curl('/articles', '-d', 'x=y')).toBe('{"error":"only GET and HEAD"}\n405')
  },

  async 'library-client'() {
    expect(existsSync(join(root, 'dist')), 'dist/ is missing: npm run build makes it').toBe(true)
    using folder = temporaryFolder()
    const program = join(root, 'examples/library-client/client.ts')
    const { stdout, stderr, code } = await run(process.execPath, [program], { cwd: folder.path })
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 })
    const readme = readFileSync(join(root, 'examples/library-client/README.md'), 'utf8')
    expect(readme).toContain(`\n\`\`\`\n${stdout}\`\`\`\n`)
  },

  async 'many-scales'() {
    using folder = temporaryFolder()
    await using first = await startScale(['ST,+  12.50 kg\r\n'])
    await using second = await startScale(['US,+   7.00 kg\r\n', 'ST,+   7.25 kg\r\n'])
    await using running = await startExample('many-scales', (config) => {
      const entry = config.connect!['scales']!
      const table = readFileSync(join(root, 'examples/many-scales', String(entry.hosts)), 'utf8')
      const file = join(folder.path, 'scales.csv')
      const lines = table.replace(',4001,', `,${first.port},`).replace(',4002,', `,${second.port},`).split('\n')
      writeFileSync(file, lines.slice(0, 3).join('\n'))
      entry.hosts = file
      entry.poll = { every: '20ms', send: 'R', timeout: '10s' }
    })
    await Promise.all([first.asked(2), second.asked(3)])
    await running.server.stop()
    expect(rows(running, 'weights.db', 'SELECT scale, line, weight FROM weights ORDER BY scale')).toEqual([
      { scale: 'scale-1', line: 'packing', weight: 12.5 },
      { scale: 'scale-2', line: 'packing', weight: 7.25 },
    ])
  },

  async 'modbus-client'() {
    const registers = [-25 + 65536, 1, 1, 7]
    const written: number[][] = []
    let asked = () => {}
    const port = await freePort()
    const plc = new ServerTCP(
      {
        getHoldingRegister: (address: number) => {
          if (address === 3) asked()
          return registers[address]!
        },
        setRegister: (address: number, value: number) => {
          written.push([address, value])
        },
      },
      { host: '127.0.0.1', port, unitID: 1 },
    )
    await once(plc, 'initialized')
    try {
      await using running = await startExample('modbus-client', (config) => {
        const entry = config.connect!['plc']!
        entry.port = port
        entry.poll = { ...(entry.poll as { send: string }), every: '20ms', timeout: '10s' }
      })
      // A poll is sent only after the answer to the one before has arrived.
      for (let polls = 0; polls < 2; polls++) await new Promise<void>((resolve) => (asked = resolve))
      await using operator = await Peer.connect(running.port('commands'))
      operator.send('set 21.5\n')
      await operator.hear('OK\n')
      expect(written).toEqual([[10, 215]])
      operator.send('set warm\n')
      await operator.hear('ERR ')
      await running.server.stop()
      expect(rows(running, 'plc.db', 'SELECT temperature, state, pieces FROM readings LIMIT 1')).toEqual([
        { temperature: -2.5, state: 'running', pieces: 65543 },
      ])
    } finally {
      await new Promise<void>((closed) => plc.close(() => closed()))
    }
  },

  async 'modbus-server'() {
    using folder = temporaryFolder()
    const database = makeDatabases('modbus-server', folder.path)
    await using running = await startExample('modbus-server', withFile('registers.db', database))
    const master = new ModbusRTU()
    await master.connectTCP('127.0.0.1', { port: running.port() })
    try {
      master.setID(17)
      expect((await master.readHoldingRegisters(0, 3)).data).toEqual([215, 0, 7])
      expect(await master.writeRegister(1, 3)).toEqual({ address: 1, value: 3 })
      expect(await master.writeRegisters(0, [190, 4])).toEqual({ address: 0, length: 2 })
      expect((await master.readInputRegisters(0, 3)).data).toEqual([190, 4, 7])
      await expect(master.readHoldingRegisters(2, 2)).rejects.toMatchObject({ modbusCode: 2 })
      await expect(master.writeRegister(9, 1)).rejects.toMatchObject({ modbusCode: 2 })
      await expect(master.readCoils(0, 1)).rejects.toMatchObject({ modbusCode: 1 })
      const change = new DatabaseSync(database)
      change.exec("CREATE TRIGGER refuse BEFORE INSERT ON registers BEGIN SELECT RAISE(ABORT, 'no'); END")
      change.close()
      await expect(master.writeRegister(1, 8)).rejects.toMatchObject({ modbusCode: 4 })
      expect((await master.readHoldingRegisters(1, 1)).data).toEqual([4])
    } finally {
      await new Promise<void>((closed) => master.close(() => closed()))
    }
  },

  async 'polled-scale'() {
    await using scale = await startScale(['US,+  12.10 kg\r\n', 'ST,+  12.50 kg\r\n'])
    await using running = await startExample('polled-scale', (config) => {
      const entry = config.connect!['scale']!
      entry.port = scale.port
      entry.poll = { every: '20ms', send: 'R', timeout: '10s' }
    })
    // The third poll is sent only after both answers have arrived, and a stop finishes what has arrived.
    await scale.asked(3)
    await running.server.stop()
    expect(rows(running, 'weights.db', 'SELECT weight, unit FROM weights')).toEqual([{ weight: 12.5, unit: 'kg' }])
  },

  async 'quick-start'() {
    await using running = await startExample('quick-start')
    await using client = await Peer.connect(running.port())
    await client.hear('Welcome to Sluice, 127.0.0.1. Type a line and press Enter.\n')
    client.send('hello\r\n')
    await client.hear('Stored: hello\n')
    expect(rows(running, 'quick-start.db', 'SELECT text FROM lines')).toEqual([{ text: 'hello' }])
  },

  async 'redis-commands'() {
    using folder = temporaryFolder()
    const database = makeDatabases('redis-commands', folder.path)
    await using running = await startExample('redis-commands', withFile('values.db', database))
    if (!hasClient('redis-cli')) {
      await using peer = await Peer.connect(running.port())
      peer.send('*1\r\n$4\r\nPING\r\n')
      await peer.hear('+PONG\r\n')
      return
    }
    const cli = async (...args: string[]) =>
      (await run('redis-cli', ['-p', String(running.port()), ...args])).stdout.trimEnd()
    expect(await cli('PING')).toBe('PONG')
    expect(await cli('GET', 'temp')).toBe('')
    expect(await cli('SET', 'temp', '21,5 °C')).toBe('OK')
    expect(await cli('SET', 'temp', '')).toBe('OK')
    expect(await cli('SET', 'temp', '22,0 °C')).toBe('OK')
    expect(await cli('GET', 'temp')).toBe('22,0 °C')
    expect(await cli('DEL', 'temp')).toBe('ERR DEL with 1 words is not known here')
    expect(await cli('SET', 'temp', 'a\r\nb')).toBe('ERR Protocol error')
  },

  async 'sia-alarm'() {
    await using running = await startExample('sia-alarm')
    await using panel = await Peer.connect(running.port())
    const event = '\n87CD0037"ADM-CID"9876R579BDFL789ABC#12345A[#12345A|1110 00 129]\r'
    panel.send(event)
    await panel.hear('"ACK"9876R579BDFL789ABC#12345A[]\r')
    panel.send(event)
    await panel.until(({ text }) => text.split('"ACK"').length === 3)
    expect(rows(running, 'alarms.db', 'SELECT account, event FROM events')).toEqual([
      { account: '12345A', event: '1110 00 129' },
    ])
  },

  async syslog() {
    await using running = await startExample('syslog')
    await using sender = await Peer.connect(running.port())
    sender.send("<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8\n")
    const styles = hasClient('logger') ? [['--rfc5424'], ['--rfc3164'], ['--rfc5424', '--octet-count']] : []
    for (const style of styles) {
      const to = ['-T', '-n', '127.0.0.1', '-P', String(running.port())]
      const sent = await run('logger', [...style, ...to, '-p', 'local0.err', '-t', 'press', 'oil is low'])
      expect(sent).toEqual({ stdout: '', stderr: '', code: 0 })
    }
    await eventually(() => running.server.endpoints[0]!.counters.messagesIn === 1 + styles.length)
    await running.server.stop()
    expect(rows(running, 'log.db', 'SELECT app, severity, message FROM log ORDER BY app DESC')).toEqual([
      { app: 'su', severity: 'crit', message: "'su root' failed for lonvick on /dev/pts/8" },
      ...styles.map(() => ({ app: 'press', severity: 'err', message: 'oil is low' })),
    ])
  },

  async 'teltonika-tracker'() {
    await using running = await startExample('teltonika-tracker')
    await using tracker = await Peer.connect(running.port())
    tracker.send('\x00\x0f356307042441013')
    await tracker.hear('\x01')
    // Two records of Codec 8, cut in the middle.
    const records =
      '000000000000004308020000016b40d57b480100000000000000000000000000000001010101000000000000016b40d5c198010000000000000000000000000000000101010101000000020000252c'
    tracker.send(Buffer.from(records.slice(0, 70), 'hex'))
    tracker.send(Buffer.from(records.slice(70), 'hex'))
    await tracker.hear('\x01\x00\x00\x00\x02')
    expect(rows(running, 'positions.db', 'SELECT imei, time, priority FROM positions')).toEqual([
      { imei: '356307042441013', time: '2019-06-10T10:01:01.000Z', priority: 'high' },
      { imei: '356307042441013', time: '2019-06-10T10:01:19.000Z', priority: 'high' },
    ])
  },
}

describe.each(folders)('the example %s', (name) => {
  it('has a README', () => {
    expect(readFileSync(join(root, 'examples', name, 'README.md'), 'utf8')).toMatch(/^# .+\n/)
  })

  it('holds its conversation over real sockets', async () => {
    expect(Object.keys(conversations)).toContain(name)
    await conversations[name]!()
  })
})

describe.each(configured)('the configuration of %s', (name) => {
  const file = exampleFile(name)

  it('names its schema for editors in the first line, and so do its cases', () => {
    expectSchema(file, 'sluice.schema.json')
    expectSchema(caseFileOf(file), 'sluice-test.schema.json')
  })

  it('has neither mistakes nor warnings', async () => {
    expect((await readPlan(file, {})).report).toBe('')
  })

  it('passes its dataflow tests', async () => {
    using folder = temporaryFolder()
    cpSync(dirname(file), folder.path, { recursive: true, filter: (path) => !/\.db|sluice-data/.test(path) })
    makeDatabases(name, folder.path)
    const copy = join(folder.path, 'sluice.yaml')
    const { plan } = await readPlan(copy, {})
    const { tests, report } = await readCases(caseFileOf(copy))
    expect(report).toBe('')
    for (const test of tests!) await runCase(plan!, test)
  })
})

function caseFileOf(file: string): string {
  return file.replace(/\.yaml$/, '.test.yaml')
}

function expectSchema(file: string, schema: string): void {
  const [first] = readFileSync(file, 'utf8').split('\n')
  const path = /^# yaml-language-server: \$schema=(.+)$/.exec(first!)?.[1]
  expect(resolve(dirname(file), path ?? '')).toBe(join(root, 'schema', schema))
  expect(existsSync(join(root, 'schema', schema))).toBe(true)
}

function rows({ folder }: Running, file: string, query: string): Record<string, SQLOutputValue>[] {
  const database = new DatabaseSync(join(folder, file), { readOnly: true })
  try {
    // The rows of node:sqlite have no prototype.
    return database
      .prepare(query)
      .all()
      .map((row) => ({ ...row }))
  } finally {
    database.close()
  }
}

/** Changes a configuration so that it uses a file that lies elsewhere. */
function withFile(name: string, path: string): (config: ExampleConfig) => void {
  return (config) => Object.assign(config, JSON.parse(JSON.stringify(config).replaceAll(name, path)))
}

/**
 * Makes the database `X.db` for each file `X.sql` of an example, as its README tells a user to.
 * @returns the path of the last one
 */
function makeDatabases(example: string, folder: string): string {
  let path = ''
  for (const name of readdirSync(join(root, 'examples', example)).filter((file) => file.endsWith('.sql'))) {
    path = join(folder, name.replace(/\.sql$/, '.db'))
    const database = new DatabaseSync(path)
    database.exec(readFileSync(join(root, 'examples', example, name), 'utf8'))
    database.close()
  }
  return path
}

/** Makes the commit of every further row fail, as a full disk would. */
function refuseInserts({ folder }: Running, file: string, table: string): void {
  const database = new DatabaseSync(join(folder, file))
  database.exec(`CREATE TRIGGER refuse BEFORE INSERT ON ${table} BEGIN SELECT RAISE(ABORT, 'no'); END`)
  database.close()
}

/** A scale that gives one answer for each R that it is sent; without any left it stays silent. */
async function startScale(
  answers: readonly string[],
): Promise<{ readonly port: number; asked(count: number): Promise<void> } & AsyncDisposable> {
  let asked = 0
  let look = () => {}
  const server: Server = createServer((socket) => {
    socket.on('data', (bytes) => {
      for (const _ of bytes.toString().matchAll(/R\n/g)) {
        const answer = answers[asked++]
        if (answer !== undefined) socket.write(answer)
      }
      look()
    })
    socket.on('error', () => undefined)
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as { port: number }
  return {
    port,
    asked: (count) =>
      new Promise((resolve) => {
        look = () => {
          if (asked >= count) resolve()
        }
        look()
      }),
    [Symbol.asyncDispose]: () => new Promise((closed) => server.close(() => closed())),
  }
}
