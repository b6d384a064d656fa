import { once } from 'node:events'
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { connectAsync } from 'mqtt'
import { describe, expect, it } from 'vitest'
import { hasClient } from '../scripts/debian-clients.ts'
import { readPlan } from '../src/config/read-plan.ts'
import { readDeadLetters } from '../src/delivery/dead-letter-files.ts'
import { DEAD_LETTERS_FILE } from '../src/delivery/dead-letters.ts'
import { readCases } from '../src/testing/read-cases.ts'
import { runCase } from '../src/testing/run-case.ts'
import { deviceConversations } from './integration/packs/conversations.ts'
import { run } from './support/command.ts'
import { exampleFile, makeDatabases, rows, startExample } from './support/example.ts'
import { Mosquitto } from './support/mosquitto.ts'
import { Peer } from './support/peer.ts'
import { type Running, temporaryFolder } from './support/server.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const folders = readdirSync(join(root, 'examples'))
/** A relay that does not inspect has no dataflow, so no cases. */
const withoutDataflow: ReadonlySet<string> = new Set(['relay-in-front'])
const configured = folders.filter((name) => existsSync(exampleFile(name)))

/** One conversation with each example over real sockets. Every folder of `examples/` must have one. */
const conversations: Record<string, () => Promise<void>> = {
  ...deviceConversations,

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

  async 'relay-in-front'() {
    await using first = await startNamed('first')
    await using second = await startNamed('second')
    await using running = await startExample('relay-in-front', ({ listen }) => {
      const { relay } = listen!['front']!
      Object.assign(relay!, { to: [`127.0.0.1:${first.port}`, `127.0.0.1:${second.port}`] })
    })
    await using one = await Peer.connect(running.port())
    await one.send('hello\n').hear('first: hello\n')
    await using two = await Peer.connect(running.port())
    await two.send('hello\n').hear('second: hello\n')
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
    if (!withoutDataflow.has(name)) expectSchema(caseFileOf(file), 'sluice-test.schema.json')
  })

  it('has neither mistakes nor warnings', async () => {
    expect((await readPlan(file, {})).report).toBe('')
  })

  it.skipIf(withoutDataflow.has(name))('passes its dataflow tests', async () => {
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

/** A server that answers with its name and what it hears. */
async function startNamed(name: string): Promise<{ readonly port: number } & AsyncDisposable> {
  const server = createServer((socket) => void socket.on('data', (chunk) => socket.write(`${name}: ${chunk}`)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    async [Symbol.asyncDispose]() {
      server.close()
    },
  }
}
