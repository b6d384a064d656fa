import { once } from 'node:events'
import { cpSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { connectAsync } from 'mqtt'
import { describe, expect, it } from 'vitest'
import { hasClient } from '../scripts/debian-clients.ts'
import { readPlan } from '../src/config/read-plan.ts'
import { readCases } from '../src/testing/read-cases.ts'
import { runCase } from '../src/testing/run-case.ts'
import { firstMonth } from './integration/first-month/configurations.ts'
import { deviceConversations } from './integration/packs/conversations.ts'
import { run } from './support/command.ts'
import { exampleFile, makeDatabases, rows, startExample } from './support/example.ts'
import { Mosquitto } from './support/mosquitto.ts'
import { Peer } from './support/peer.ts'
import { startPlainServer } from './support/plain-server.ts'
import { temporaryFolder } from './support/server.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const folders = readdirSync(join(root, 'examples'))
const configured = folders.filter((name) => existsSync(exampleFile(name)))
/** They hold their conversation in test/integration/first-month. */
const elsewhere = new Set(firstMonth.map(({ file }) => file))
const here = folders.filter((name) => !elsewhere.has(exampleFile(name)))

/** One conversation with each other example over real sockets. */
const conversations: Record<string, () => Promise<void>> = {
  ...deviceConversations,

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

  async 'library-client'() {
    expect(existsSync(join(root, 'dist')), 'dist/ is missing: npm run build makes it').toBe(true)
    using folder = temporaryFolder()
    const program = join(root, 'examples/library-client/client.ts')
    const { stdout, stderr, code } = await run(process.execPath, [program], { cwd: folder.path })
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 })
    const readme = readFileSync(join(root, 'examples/library-client/README.md'), 'utf8')
    expect(readme).toContain(`\n\`\`\`\n${stdout}\`\`\`\n`)
  },

  async 'polled-scale'() {
    const answers = ['US,+  12.10 kg\r', 'ST,+  12.50 kg\r']
    await using scale = await startPlainServer(() => answers.shift())
    await using running = await startExample('polled-scale', (config) => {
      const entry = config.connect!['scale']!
      entry.port = scale.at.port
      entry.poll = { every: '20ms', send: 'R', timeout: '10s' }
    })
    // The third poll is sent only after both answers have arrived, and a stop finishes what has arrived.
    await scale.until(({ lines }) => lines.length === 3)
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

it.each(folders)('the example %s has a README', (name) => {
  expect(readFileSync(join(root, 'examples', name, 'README.md'), 'utf8')).toMatch(/^# .+\n/)
})

it.each(here)('the example %s holds its conversation over real sockets', async (name) => {
  expect(Object.keys(conversations)).toContain(name)
  await conversations[name]!()
})

describe.each(configured)('the configuration of %s', (name) => {
  const file = exampleFile(name)

  it('names its schema for editors in the first line, and so do its cases', () => {
    expectSchema(file, 'sluice.schema.json')
    expectSchema(caseFileOf(file), 'sluice-test.schema.json')
  })

  it('has neither mistakes nor warnings, and passes its dataflow tests', async () => {
    using folder = temporaryFolder()
    cpSync(dirname(file), folder.path, { recursive: true, filter: (path) => !/\.db|sluice-data/.test(path) })
    makeDatabases(name, folder.path)
    const copy = join(folder.path, 'sluice.yaml')
    const { plan, report: mistakes } = await readPlan(copy, {})
    expect(mistakes).toBe('')
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
