import { tmpdir } from 'node:os'
import { resolve } from 'node:path'
import { Batch } from '../contracts/batch.ts'
import type { Client, PayloadKind } from '../contracts/client.ts'
import type { Clients, SendTarget } from '../contracts/clients.ts'
import type { Clock } from '../contracts/clock.ts'
import type { PartContext, Shared } from '../contracts/context.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { LogLevel } from '../contracts/events.ts'
import type { Format } from '../contracts/format.ts'
import { Frames, type Framing, NEED_MORE } from '../contracts/framing.ts'
import { Message, type MessageEvent, type Source } from '../contracts/message.ts'

/** A {@link PartContext} that remembers what a part did with it. */
export interface TestContext extends PartContext {
  readonly logs: { level: LogLevel; text: string; message: Message | undefined }[]
  /** What `deadLetters.add` was given; the number it returned is the position, from 1. */
  readonly dead: { message: Message; error: SluiceError; step: string }[]
  /** What `clients.send` was given. */
  readonly sends: { target: SendTarget; kind: PayloadKind; content: unknown; except: string | undefined }[]
}

/**
 * A context for a part that is tested without a server. Time and identity repeat exactly, relative paths lie in the
 * folder for temporary files, `share` counts its users, and nobody is connected. Storage, TCP and TLS must be brought
 * by a test that needs them.
 */
export function createTestContext(overrides: Partial<PartContext> = {}): TestContext {
  const logs: TestContext['logs'] = []
  const dead: TestContext['dead'] = []
  const sends: TestContext['sends'] = []
  const clients: Clients = {
    size: 0,
    get: () => undefined,
    list: () => [],
    send(target, kind, content, except) {
      sends.push({ target, kind, content, except })
      return { sent: 1, skipped: 0 }
    },
    request: () => Promise.reject(new SluiceError('client_unknown', 'nobody is connected in this test')),
    close: () => false,
  }
  return {
    id: 'listen.test.dataflow[0]',
    endpoint: 'test',
    clock: createTestClock(),
    clients,
    codec: { framing: plainLines, format: plainText },
    lineFraming: plainLines,
    storage: {
      open: () => Promise.reject(absent('storage')),
      openReadOnly: () => Promise.reject(absent('storage')),
      close: () => Promise.resolve(),
    },
    deadLetters: {
      add(message, error, step) {
        dead.push({ message, error, step })
        return Promise.resolve(dead.length)
      },
    },
    tcp: { listen: () => Promise.reject(absent('tcp')), dial: () => Promise.reject(absent('tcp')) },
    createTls() {
      throw absent('createTls')
    },
    signal: new AbortController().signal,
    importPackage: (name) => import(name),
    resolvePath: (path) => resolve(tmpdir(), path),
    dataPath: (name) => resolve(tmpdir(), 'sluice-data', name),
    share: createShare(),
    log: (level, text, message) => logs.push({ level, text, message }),
    ...overrides,
    logs,
    dead,
    sends,
  }
}

/** A clock that stands still until it is moved. Who waits moves it, and goes on at once. */
export interface TestClock extends Clock {
  advance(milliseconds: number): void
}

/** @param start milliseconds since 1970; by default the beginning of 2026 */
export function createTestClock(start: number = Date.UTC(2026, 0, 1)): TestClock {
  let time = start
  let uuids = 0
  let sequence = 0
  return {
    now: () => time,
    elapsed: () => time - start,
    async sleep(milliseconds, signal) {
      if (signal?.aborted) return false
      time += milliseconds
      return true
    },
    uuid: () => `00000000-0000-4000-8000-${String(++uuids).padStart(12, '0')}`,
    next: () => ++sequence,
    advance(milliseconds) {
      time += milliseconds
    },
  }
}

/** A source that is no connection but behaves like one, and remembers what was done with it. */
export interface TestSource extends Source {
  readonly replies: { sequence: number; kind: PayloadKind; content: unknown }[]
  closed: boolean
}

/** @param client fields of the client that shall differ from the usual ones */
export function testSource(client: Partial<Client> = {}): TestSource {
  const clock = createTestClock()
  const source: TestSource = {
    client: { ...CLIENT, since: clock.now(), lastSeen: clock.now(), ...client },
    endpoint: client.endpoint ?? CLIENT.endpoint,
    boot: 'boot',
    clock,
    state: {},
    replies: [],
    closed: false,
    reply(sequence, kind, content) {
      source.replies.push({ sequence, kind, content })
    },
    echo: () => false,
    wait: () => Promise.reject(new SluiceError('wait_failed', 'nothing arrives in this test')),
    close() {
      source.closed = true
    },
  }
  return source
}

export interface MessageOptions {
  readonly source?: Source
  /** The messages are as if read in this format, and nobody changed them. Absent: their values are not their bytes. */
  readonly format?: Format
  readonly event?: MessageEvent
}

/**
 * Messages with the given values, numbered from 1. Their `raw` is the value printed in `options.format`; without one it
 * is the value itself where that is text or bytes, else its JSON, and nothing where there is none.
 */
export function createMessages<T>(values: readonly T[], options: MessageOptions = {}): Message<T>[] {
  const { source = testSource(), format, event = 'message' } = options
  const time = source.clock.now()
  return values.map((value, i) => {
    const raw = format === undefined ? rawOf(value) : toBuffer(format.print(value))
    return new Message(value, source, event, time, i + 1, raw, 0, raw.length, format)
  })
}

/** A batch of {@link createMessages}. */
export function createBatch<T>(values: readonly T[], options: MessageOptions = {}): Batch<T> {
  return Batch.of(createMessages(values, options))
}

/** The given payloads as frames that were found in one read, each followed by one LF. */
export function createFrames(payloads: readonly (string | Buffer)[]): Frames {
  const buffers = payloads.map(toBuffer)
  const frames = new Frames(Buffer.concat(buffers.flatMap((buffer) => [buffer, LF])))
  let at = 0
  for (const { length } of buffers) {
    frames.push(at, at + length)
    at += length + 1
  }
  return frames
}

/** A batch that is exactly one read, untouched: the payloads as frames in a format. */
export function createFramesBatch(
  payloads: readonly (string | Buffer)[],
  format: Format,
  source: Source = testSource(),
): Batch {
  const frames = createFrames(payloads)
  frames.time = source.clock.now()
  frames.sequence = 1
  return Batch.ofFrames([frames], format, source)
}

const CLIENT: Client = {
  id: 'test-1',
  endpoint: 'test',
  ip: '127.0.0.1',
  port: 50_000,
  localIp: '127.0.0.1',
  localPort: 9100,
  tls: false,
  since: 0,
  lastSeen: 0,
  bytesIn: 0,
  bytesOut: 0,
  messagesIn: 0,
  messagesOut: 0,
  state: 'open',
  tags: {},
}

const LF = Buffer.from('\n')

/** Lines, with nothing to go wrong: what a part writes can be compared as text. */
const plainLines: Framing = {
  createDecoder: () => ({
    next(bytes, from, to, found) {
      const end = bytes.indexOf(10, from)
      if (end === -1 || end >= to) return NEED_MORE
      found.start = from
      found.end = end
      return end + 1
    },
  }),
  encode(payload, out) {
    out.write(payload)
    out.write(LF)
  },
}

/** Text as it is and everything else as JSON, so that any value can be seen in what a part writes. */
const plainText: Format = {
  parse: (bytes, start, end) => bytes.toString('utf8', start, end),
  print(value) {
    if (typeof value === 'string' || Buffer.isBuffer(value)) return value
    const json = JSON.stringify(value)
    if (json === undefined) throw new SluiceError('format_not_printable', `${typeof value} cannot be written`)
    return json
  },
}

function rawOf(value: unknown): Buffer {
  return toBuffer(typeof value === 'string' || Buffer.isBuffer(value) ? value : (JSON.stringify(value) ?? ''))
}

function toBuffer(content: string | Buffer): Buffer {
  return typeof content === 'string' ? Buffer.from(content) : content
}

function absent(what: string): Error {
  return new Error(`this test context has no ${what}; bring one: createTestContext({ ${what} })`)
}

/** Keeps one value per key for as long as it has users. */
function createShare(): PartContext['share'] {
  const entries = new Map<string, { value: { close(): void | Promise<void> }; users: number }>()
  return <T extends { close(): void | Promise<void> }>(key: string, open: () => T): Shared<T> => {
    let entry = entries.get(key)
    if (entry === undefined) {
      entry = { value: open(), users: 0 }
      entries.set(key, entry)
    }
    const shared = entry
    shared.users++
    return {
      value: shared.value as T,
      async release() {
        if (--shared.users > 0) return
        entries.delete(key)
        await shared.value.close()
      },
    }
  }
}
