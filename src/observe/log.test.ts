import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SluiceError } from '../contracts/errors.ts'
import { createEvents, eventDescriptions } from '../contracts/events.ts'
import { createMessages, testSource } from '../testing/part-context.ts'
import { parseBytes } from '../util/escapes.ts'
import { attachLog, type LogOptions } from './log.ts'
import { logRecords } from './log-records.ts'

beforeEach(() => void vi.useFakeTimers({ now: Date.UTC(2026, 0, 1, 12) }))
afterEach(() => void vi.useRealTimers())

const { client } = testSource({
  id: 'scales-17',
  endpoint: 'scales',
  ip: '10.0.0.7',
  port: 50412,
  since: Date.UTC(2026, 0, 1, 11, 59, 30),
  bytesIn: 120,
  bytesOut: 12,
  messagesIn: 3,
  messagesOut: 2,
})

describe('json', () => {
  it('a closed connection is one line with its reason and numbers', async () => {
    const { events, lines } = attach()
    events.emit('connection.closed', { client, reason: 'frame_error', detail: 'a frame is longer than 10 bytes' })
    expect(lines()).toEqual([
      {
        level: 'warn',
        time: '2026-01-01T12:00:00.000Z',
        event: 'connection.closed',
        endpoint: 'scales',
        client: 'scales-17',
        peer: '10.0.0.7:50412',
        reason: 'frame_error',
        detail: 'a frame is longer than 10 bytes',
        bytesIn: 120,
        bytesOut: 12,
        messagesIn: 3,
        messagesOut: 2,
        ageMs: 30_000,
        text: 'scales-17 closed: The bytes broke the framing, so nothing after them can be trusted.',
      },
    ])
  })

  it('a frame that was rejected is shown with its first bytes', () => {
    const { events, lines } = attach()
    events.emit('frame.rejected', {
      message: frame('\x02{"a":\r\n'),
      error: new SluiceError('format_invalid', 'no JSON'),
    })
    expect(lines()).toMatchObject([{ level: 'warn', reason: 'format_invalid', bytes: '\\x02{"a":\\r\\n' }])
  })

  it('a message that was kept says its number, and a flood of them is counted', () => {
    const { events, lines } = attach()
    const error = new SluiceError('format_invalid', 'no JSON')
    for (let id = 1; id <= 20; id++) events.emit('deadLetter.stored', { id, message: frame('x'), error })
    expect(lines()).toHaveLength(10)
    expect(lines()[6]).toEqual({
      level: 'info',
      time: '2026-01-01T12:00:00.000Z',
      event: 'deadLetter.stored',
      id: 7,
      endpoint: 'scales',
      client: 'scales-17',
      peer: '10.0.0.7:50412',
      sequence: 1,
      reason: 'format_invalid',
      text: 'kept as dead letter 7: no JSON',
    })
  })

  it('a reload leaves a line, and one for each setting that needs a restart, or for each mistake', () => {
    const { events, lines } = attach()
    events.emit('server.reloaded', {
      added: ['a'],
      removed: [],
      changed: ['b', 'c'],
      unchanged: ['d'],
      restart: ['admin'],
    })
    const mistakes = ['sluice.yaml:2:3 KEY_UNKNOWN there is no portt', 'sluice.yaml:3:3 KEY_MISSING x is missing']
    events.emit('server.reloadFailed', { reason: 'the configuration is wrong', mistakes })
    expect(lines()).toMatchObject([
      { level: 'info', text: 'the configuration was reloaded: added a; changed b, c; unchanged d', changed: 'b, c' },
      { level: 'warn', text: 'admin stays as it was until the program is started again', setting: 'admin' },
      { level: 'error', text: 'not reloaded, and nothing has changed: the configuration is wrong' },
      ...mistakes.map((text) => ({ level: 'error', event: 'server.reloadFailed', text })),
    ])
  })

  it('a close that has a cure gives it', () => {
    const { events, lines } = attach()
    events.emit('connection.closed', { client, reason: 'frame_error', detail: 'too long', hint: 'Raise the limit.' })
    expect(lines()).toMatchObject([{ detail: 'too long', hint: 'Raise the limit.' }])
  })

  it('what was delivered after its timeout is told of', () => {
    const { events, lines } = attach()
    events.emit('sink.deliveredLate', { step: 'store', messages: 1 })
    events.emit('sink.deliveredLate', { step: 'store', messages: 2 })
    expect(lines()).toMatchObject([
      {
        level: 'warn',
        step: 'store',
        text: 'store has delivered 1 message after its timeout: it is there and has failed all the same',
        hint: 'Look there before you use sluice dead retry, which would deliver it again.',
      },
      { text: 'store has delivered 2 messages after its timeout: they are there and have failed all the same' },
    ])
  })

  it('an answer that was lost says why', () => {
    const { events, lines } = attach()
    events.emit('reply.lost', { client, count: 2, late: false })
    events.emit('reply.lost', { client, count: 1, late: true })
    expect(lines()).toMatchObject([
      { level: 'warn', count: 2, text: '2 answers to scales-17 lost: the connection had closed' },
      { text: '1 answer to scales-17 lost: the run of the message had ended, as after the timeout of a step' },
    ])
  })

  it('of an endpoint that dials, the other side is no client', () => {
    const { events, lines } = attach({ dialled: (endpoint) => endpoint === 'scales' })
    const remote = { ip: '10.0.0.7', port: 4001 }
    const hint = 'Give the certificate of its authority as tls.ca.'
    events.emit('connection.refused', { endpoint: 'scales', remote, reason: 'tls_failed', detail: 'unknown CA', hint })
    events.emit('connection.spoke', { client, bytes: Buffer.from('SSH-2.0-OpenSSH_9.7\r\n') })
    events.emit('connection.spoke', { client, bytes: Buffer.from('GET / HTTP/1.1\r\n') })
    for (const reason of ['client_closed', 'write_timeout', 'idle_timeout'] as const) {
      events.emit('connection.closed', { client, reason, detail: '' })
    }
    expect(lines().slice(0, 2)).toMatchObject([
      { text: 'scales could not use its connection to 10.0.0.7:4001: The TLS handshake failed.', hint },
      { text: 'An SSH server answers at this address: check host and port.' },
    ])
    expect(lines()).toHaveLength(5)
    for (const { text } of lines()) expect(text).not.toContain('client')
  })

  it('a connection that goes before it is a client is a warning only where something is wrong', () => {
    const { events, lines } = attach()
    const remote = { ip: '10.0.0.2', port: 4001 }
    for (const reason of ['client_closed', 'drained', 'proxy_failed', 'too_many_connections'] as const) {
      events.emit('connection.refused', { endpoint: 'scales', remote, reason, detail: '' })
    }
    expect(lines()).toMatchObject([
      { level: 'info', text: 'scales refused 10.0.0.2:4001: The other side closed the connection.' },
      { level: 'info', reason: 'drained' },
      { level: 'warn', reason: 'proxy_failed' },
      { level: 'warn', reason: 'too_many_connections' },
    ])
  })

  it('the program around the server writes lines of its own', () => {
    const { log, lines } = attach()
    log.tell('admin.opened', 'admin: http://127.0.0.1:8081', { address: '127.0.0.1:8081' })
    expect(lines()).toMatchObject([{ level: 'info', event: 'admin.opened', address: '127.0.0.1:8081' }])
  })

  it('a wrong protocol gets a hint, a device does not', () => {
    const { events, lines } = attach()
    events.emit('connection.spoke', { client, bytes: Buffer.from('ST,GS,+ 12.5kg\r\n') })
    events.emit('connection.spoke', { client, bytes: Buffer.from('SSH-2.0-PuTTY_Release_0.81\r\n') })
    expect(lines()).toMatchObject([{ level: 'warn', text: expect.stringContaining('set the connection type to Raw') }])
  })

  it('the level decides what is written', () => {
    const { events, lines } = attach({ level: 'warn' })
    events.emit('connection.opened', { client })
    events.emit('dial.failed', { endpoint: 'plc', target: '10.0.0.9:2112', error: refused, retryIn: 1000 })
    events.emit('upstream.failed', { endpoint: 'front', target: '10.0.0.9:7000', error: refused })
    events.emit('upstream.recovered', { endpoint: 'front', target: '10.0.0.9:7000' })
    events.emit('subscription.failed', { endpoint: 'commands', error: refused, retryIn: 1000 })
    expect(lines()).toMatchObject([
      { event: 'dial.failed', reason: 'connection_refused', text: 'plc: nothing listens there; next attempt in 1s' },
      { event: 'upstream.failed', text: 'front: the server 10.0.0.9:7000 is down: nothing listens there' },
      {
        event: 'subscription.failed',
        endpoint: 'commands',
        text: 'commands: nothing listens there; next attempt in 1s',
      },
    ])
  })
})

it('says in each line which worker writes, and leaves to others what they tell', () => {
  const { events, lines } = attach({ worker: 2, except: ['server.started'] })
  events.emit('server.started', {})
  events.emit('buffer.emptied', { step: 'store' })
  expect(lines()).toMatchObject([{ event: 'buffer.emptied', worker: 2 }])
})

it('tells of workers that come and go', () => {
  const { events, lines } = attach()
  events.emit('worker.started', { worker: 2, pid: 7 })
  events.emit('worker.exited', { worker: 2, pid: 7, reason: 'killed by SIGKILL', restartIn: 0 })
  events.emit('worker.exited', { worker: 2, pid: 8, reason: 'exit code 1', restartIn: 1500 })
  events.emit('buffer.adopted', { step: 'store', messages: 3, from: '/d/worker-2', to: '/d' })
  expect(lines().map(({ level, text }) => [level, text])).toEqual([
    ['info', 'worker 2 takes connections'],
    ['error', 'worker 2 has ended (killed by SIGKILL) and is started again'],
    ['error', 'worker 2 has ended (exit code 1) and is started again in 1500ms'],
    ['info', '3 messages that waited for store in /d/worker-2 have been taken over'],
  ])
})

describe('text', () => {
  it('is one compact line', () => {
    const { events, output } = attach({ format: 'text' })
    events.emit('listener.opened', { endpoint: 'scales', address: { ip: '::', port: 9100 }, tls: false })
    events.emit('subscription.opened', { endpoint: 'commands', address: { ip: 'broker', port: 1883 } })
    expect(output()).toBe(
      '12:00:00.000Z INFO  scales listens on [::]:9100  endpoint=scales address=[::]:9100\n' +
        '12:00:00.000Z INFO  commands is subscribed at broker:1883  endpoint=commands address=broker:1883\n',
    )
  })

  it('quotes values with spaces, and has colours only where they are asked for', () => {
    const plain = attach({ format: 'text' })
    const colored = attach({ format: 'text', color: true })
    for (const { events } of [plain, colored]) {
      events.emit('connection.closed', { client, reason: 'client_closed', detail: 'a "quoted" detail' })
    }
    expect(plain.output()).toContain('detail="a \\"quoted\\" detail"')
    expect(plain.output()).not.toContain('\x1b')
    expect(colored.output()).toContain('\x1b[32mINFO ')
  })
})

describe('what a client sends', () => {
  it.each(['json', 'text'] as const)('cannot forge a line or steer a terminal: %s', (format) => {
    const evil = 'x\n12:00:00.000Z INFO  all is well\x1b[2J\r\u009b31m\u202e\u2028'
    const { events, output } = attach({ format })
    events.emit('part.logged', { level: 'info', step: 'log', text: evil, client: { ...client, id: evil } })
    events.emit('frame.rejected', { message: frame(evil), error: new SluiceError('format_invalid', evil) })
    expect(output().trimEnd().split('\n')).toHaveLength(2)
    expect(output().replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
  })

  it('takes at most 1 KiB of a field', () => {
    const { events, lines } = attach()
    events.emit('part.logged', { level: 'info', step: 'log', text: 'x'.repeat(100_000), client: undefined })
    expect(lines()[0]!['text']).toHaveLength(1025)
  })

  it('of a dead letter that could not be stored is written whole: it is the last copy', () => {
    const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i % 256))
    const message = createMessages([bytes], { source: testSource({ ...client }) })[0]!
    const cause = new SluiceError('storage_failed', 'full')
    const { events, lines } = attach()
    events.emit('deadLetter.lost', { message, error: new SluiceError('sink_failed', 'no'), cause })
    expect(parseBytes(String(lines()[0]!['bytes']))).toEqual(bytes)
  })

  it('does not appear for an endpoint that is redacted', () => {
    const { events, output } = attach({ redact: ['scales'] })
    const error = new SluiceError('format_invalid', 'no JSON: secret-4711')
    events.emit('frame.rejected', { message: frame('secret-4711'), error })
    events.emit('message.failed', { message: frame('secret-4711'), error, step: 'a', outcome: 'dead letter' })
    events.emit('deadLetter.stored', { id: 1, message: frame('secret-4711'), error })
    events.emit('deadLetter.lost', {
      message: frame('secret-4711'),
      error,
      cause: new SluiceError('storage_failed', 'full'),
    })
    expect(output()).not.toContain('4711')
    expect(output()).toContain('(11 bytes)')
  })
})

describe('a flood', () => {
  const error = new SluiceError('frame_invalid', 'no start marker')

  it('is written ten times a second and then counted', () => {
    const { events, lines } = attach()
    for (let i = 0; i < 1000; i++) events.emit('frame.rejected', { message: frame('x'), error })
    expect(lines()).toHaveLength(10)
    vi.advanceTimersByTime(1000)
    expect(lines()).toHaveLength(11)
    expect(lines().at(-1)).toMatchObject({
      event: 'frame.rejected',
      suppressed: 990,
      text: '990 more lines like this: scales frame_invalid',
    })
    events.emit('frame.rejected', { message: frame('x'), error })
    expect(lines()).toHaveLength(12)
  })

  it('of one code does not hide another', () => {
    const { events, lines } = attach()
    for (let i = 0; i < 20; i++) events.emit('frame.rejected', { message: frame('x'), error })
    events.emit('frame.rejected', { message: frame('x'), error: new SluiceError('frame_too_long', 'long') })
    expect(lines().at(-1)).toMatchObject({ reason: 'frame_too_long' })
  })

  it('is summed up on close, and nothing is written afterwards', async () => {
    const { events, lines, log } = attach()
    for (let i = 0; i < 12; i++) events.emit('frame.rejected', { message: frame('x'), error })
    await log.close()
    expect(lines().at(-1)).toMatchObject({ suppressed: 2 })
    events.emit('server.stopped', {})
    expect(lines()).toHaveLength(11)
  })

  it('of dead letters that could not be stored is written whole', () => {
    const { events, lines } = attach()
    for (let i = 0; i < 50; i++) events.emit('deadLetter.lost', { message: frame('x'), error, cause: error })
    expect(lines()).toHaveLength(50)
  })
})

it('knows every event', () => {
  expect(Object.keys(logRecords).sort()).toEqual(Object.keys(eventDescriptions).sort())
})

it('writes to standard error by default, everything before close has resolved', () => {
  const program = `
    import { createEvents } from '${new URL('../contracts/events.ts', import.meta.url)}'
    import { attachLog } from '${new URL('./log.ts', import.meta.url)}'
    const events = createEvents(() => {})
    const log = attachLog(events, { level: 'info', format: 'json' })
    for (let i = 0; i < 100; i++) events.emit('server.started', {})
    await log.close()
    process.exit()`
  const args = ['--input-type=module', '--eval', program]
  const { stderr, stdout } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
  })
  expect(stdout).toBe('')
  expect(stderr.trimEnd().split('\n')).toHaveLength(100)
})

it('writes what is lost to standard error, however much it is and however slow the reader, and drops other lines', async () => {
  vi.useRealTimers()
  const program = `
    import { createEvents } from '${new URL('../contracts/events.ts', import.meta.url)}'
    import { SluiceError } from '${new URL('../contracts/errors.ts', import.meta.url)}'
    import { attachLog } from '${new URL('./log.ts', import.meta.url)}'
    import { createMessages } from '${new URL('../testing/part-context.ts', import.meta.url)}'
    const events = createEvents(() => {})
    const log = attachLog(events, { level: 'info', format: 'json' })
    const error = new SluiceError('sink_failed', 'no')
    const [message] = createMessages([Buffer.alloc(1_500_000, 'x')])
    for (let i = 0; i < 4; i++) events.emit('deadLetter.lost', { message, error, cause: error })
    for (let i = 0; i < 100; i++) events.emit('server.started', {})
    process.stdout.write('written')
    await log.close()
    process.exit()`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
  })
  // Nothing is read before everything has been given.
  await once(child.stdout, 'data')
  const lines = (await text(child.stderr)).trimEnd().split('\n')
  expect(lines.map((line) => JSON.parse(line).event)).toEqual(Array(4).fill('deadLetter.lost'))
  expect(lines.every((line) => JSON.parse(line).bytes.length === 1_500_000)).toBe(true)
})

const refused = new SluiceError('connection_refused', 'nothing listens there')

function frame(text: string) {
  return createMessages([Buffer.from(text)], { source: testSource({ ...client }) })[0]!
}

function attach(options: Partial<LogOptions> = {}) {
  let written = ''
  const events = createEvents((error) => {
    throw error
  })
  const stream = { write: (line: string) => (written += line) }
  const log = attachLog(events, { level: 'debug', format: 'json', stream, ...options })
  const output = () => written
  const lines = (): Record<string, unknown>[] =>
    written
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
  return { events, log, output, lines }
}
