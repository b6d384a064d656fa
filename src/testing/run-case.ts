import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { EndpointPlan, Plan, SocketPlan, StepPlan } from '../config/plan.ts'
import type { PlannedServer } from '../config/planned-server.ts'
import { createServerFromPlan } from '../config/server.ts'
import { nestedIn } from '../config/step-words.ts'
import { contentText } from '../contracts/codec.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Sink } from '../contracts/sink.ts'
import type { Socket, Transport } from '../contracts/transport.ts'
import { createMemoryTransport } from '../transports/memory.ts'
import { formatBytes, parseBytes } from '../util/escapes.ts'
import { playBehindRelay, withOneServer } from './behind-relay.ts'
import type { DataflowCase } from './case-schema.ts'
import { oneMessage } from './one-message.ts'
import { createTestClock } from './part-context.ts'
import { createRandom } from './random.ts'

/**
 * Runs one case: the real engine, framing, format and steps over a connection in memory, with sinks stood in for. The
 * case begins with bytes, so the framing is tested too, and unless it says `split: false` it is repeated with the bytes
 * cut elsewhere; every repetition must come out the same.
 * @throws Error saying what came instead
 */
export async function runCase(plan: Plan, test: DataflowCase): Promise<void> {
  const endpoint = plan.endpoints.find(({ name }) => name === test.endpoint)
  if (endpoint === undefined) throw new Error(`there is no endpoint "${test.endpoint}"`)
  const isSocket = endpoint.kind === 'listen' || endpoint.kind === 'connect'
  requireRelay(endpoint, test)
  const alone: Plan = { ...plan, endpoints: [isSocket ? onePeer(endpoint) : endpoint] }
  const bytes = parseBytes(test.sends)
  for (const { how, chunks } of test.split && isSocket ? chunkings(bytes) : [WHOLE(bytes)]) {
    const came = await play(alone, test, chunks)
    try {
      compare(test, came)
    } catch (error) {
      throw new Error(`${how}: ${error instanceof Error ? error.message : error}`, { cause: error })
    }
  }
}

/**
 * Runs the dataflow of an endpoint with `runOnConnect` once for a client that comes and says nothing, as `msg == null`.
 * Sinks are stood in for; a dataflow with code of the user's own is left alone.
 * @returns what failed, in words
 */
export async function rehearseConnect(plan: Plan, name: string): Promise<string[]> {
  const endpoint = plan.endpoints.find((one) => one.name === name)
  if (endpoint === undefined || endpoint.kind === 'subscribe' || endpoint.kind === 'schedule' || !endpoint.runOnConnect)
    return []
  if (endpoint.dataflow === undefined || endpoint.dataflow.some(hasUserCode)) return []
  const alone: Plan = {
    ...plan,
    endpoints: [{ ...onePeer(endpoint), onConnect: undefined, onError: undefined }],
  }
  const nothing: DataflowCase = { name: 'a client that says nothing', endpoint: name, sends: '', split: false }
  const { deadLetters } = await play(alone, nothing, [])
  return deadLetters.map(({ step, reason }) => `${step}: ${reason}`)
}

function requireRelay(endpoint: EndpointPlan, { serverSends, serverGets, mirrorSends }: DataflowCase): void {
  const { name } = endpoint
  const relay = endpoint.kind === 'listen' ? endpoint.relay : undefined
  if (relay === undefined && (serverSends !== undefined || serverGets !== undefined)) {
    throw new Error(`${name} is no relay, so there is no server behind it: take serverSends and serverGets away`)
  }
  if (relay?.mirror === undefined && mirrorSends !== undefined) {
    throw new Error(`${name} has no mirror, so there is no second server: take mirrorSends away`)
  }
}

/** Without TLS and PROXY headers, and of many devices the first, at once. */
function onePeer(endpoint: SocketPlan): SocketPlan {
  if (endpoint.kind === 'listen') return withOneServer({ ...endpoint, proxyProtocol: undefined, tls: undefined })
  return { ...endpoint, tls: undefined, devices: endpoint.devices.slice(0, 1) }
}

function hasUserCode({ definition, options, otherwise = [] }: StepPlan): boolean {
  if (definition.kind === 'step' && definition.runsUserCode !== undefined) return true
  return [...otherwise, ...nestedIn(options).flatMap(({ steps }) => steps)].some(hasUserCode)
}

interface Outcome {
  readonly replies: Buffer
  /** What the server behind a relay got. */
  readonly behind: Buffer
  /** By id and by name of the step. */
  readonly sinks: ReadonlyMap<string, readonly unknown[]>
  readonly deadLetters: readonly DeadLetter[]
}

interface DeadLetter {
  readonly code: string
  readonly raw: string
  readonly reason: string
  readonly step: string
}

interface Chunking {
  readonly how: string
  readonly chunks: readonly Buffer[]
}

const WHOLE = (bytes: Buffer): Chunking => ({ how: 'sent in one piece', chunks: [bytes] })

function chunkings(bytes: Buffer): Chunking[] {
  const byByte = Array.from(bytes, (_, i) => bytes.subarray(i, i + 1))
  const cut = (seed: number): Chunking => {
    const random = createRandom(seed)
    const chunks: Buffer[] = []
    for (let at = 0; at < bytes.length; at += chunks.at(-1)!.length) {
      chunks.push(bytes.subarray(at, at + random.int(1, Math.max(1, bytes.length - at))))
    }
    return { how: `cut at random (${chunks.map(({ length }) => length).join('+')} bytes)`, chunks }
  }
  return [WHOLE(bytes), { how: 'sent byte by byte', chunks: byByte }, cut(1), cut(2), cut(3)]
}

async function play(plan: Plan, test: DataflowCase, chunks: readonly Buffer[]): Promise<Outcome> {
  const transport = createMemoryTransport()
  const sinks = new Map<string, unknown[]>()
  const deadLetters: DeadLetter[] = []
  // What steps keep must neither come from the real data folder nor go there, nor from one run to the next.
  const folder = await mkdtemp(join(tmpdir(), 'sluice-case-'))
  const endpoint = plan.endpoints[0]!
  const topic = test.topic ?? 'test'
  const broker = endpoint.kind === 'subscribe' ? oneMessage(endpoint.definition, chunks[0]!, topic) : undefined
  const endpoints =
    endpoint.kind === 'subscribe' ? [{ ...endpoint, definition: broker!.definition }] : [onceAtStart(endpoint)]
  const server = createServerFromPlan(
    { ...plan, endpoints, data: { ...plan.data, dir: folder } },
    {
      transport,
      clock: createTestClock(),
      deadLetters: {
        async add(message, error, step) {
          return deadLetters.push({ code: error.code, raw: shown(message.raw), reason: error.message, step })
        },
      },
      replaceSink: (step) => standIn(step, sinks, test.failing ?? {}),
    },
  )
  const device = endpoint.kind === 'connect' ? await awaitDial(plan, transport) : undefined
  const behind = await playBehindRelay(endpoint, 'server', transport, parseBytes(test.serverSends ?? ''))
  const mirror = await playBehindRelay(endpoint, 'mirror', transport, parseBytes(test.mirrorSends ?? ''))
  try {
    await server.start()
    if (endpoint.kind === 'subscribe' || endpoint.kind === 'schedule') {
      // A stop finishes what has come.
      await server.stop({ deadline: 1000 })
      return { replies: Buffer.concat(broker?.replies ?? []), behind: NOTHING, sinks, deadLetters }
    }
    const socket = device === undefined ? await dial(plan, server, transport) : await device.socket
    const replies = await talk(socket, chunks)
    return { replies, behind: behind?.got ?? NOTHING, sinks, deadLetters }
  } finally {
    await server.stop({ deadline: 1000 })
    await device?.close()
    await behind?.close()
    await mirror?.close()
    await rm(folder, { recursive: true })
  }
}

/** A schedule runs once, whatever the time is. */
function onceAtStart(endpoint: EndpointPlan): EndpointPlan {
  if (endpoint.kind !== 'schedule') return endpoint
  return { ...endpoint, timing: { ...endpoint.timing, runAtStart: true } }
}

function standIn(
  { id, name }: StepPlan,
  sinks: Map<string, unknown[]>,
  failing: Readonly<Record<string, string>>,
): Sink {
  const reason = failing[id] ?? failing[name]
  const got = sinks.get(name) ?? []
  sinks.set(name, got)
  sinks.set(id, sinks.get(id) ?? [])
  return {
    write(batch) {
      if (reason !== undefined) throw new SluiceError('sink_failed', reason)
      for (const { msg } of batch.messages) {
        const value = plain(msg)
        got.push(value)
        if (id !== name) sinks.get(id)!.push(value)
      }
    },
    close: () => undefined,
  }
}

function dial(plan: Plan, server: PlannedServer, transport: Transport): Promise<Socket> {
  const endpoint = plan.endpoints[0]!
  if (endpoint.kind !== 'listen') throw new Error('only a listening endpoint can be dialled')
  const { path } = endpoint.addresses[0]!
  return transport.dial({
    timeout: 1000,
    ...(path === undefined ? { port: server.address(endpoint.name)!.port } : { path }),
  })
}

/** Plays the device that a `connect:` endpoint dials. */
async function awaitDial(
  plan: Plan,
  transport: Transport,
): Promise<{ socket: Promise<Socket>; close(): Promise<void> }> {
  const endpoint = plan.endpoints[0]!
  if (endpoint.kind !== 'connect') throw new Error('only a connecting endpoint dials')
  const [device] = endpoint.devices
  if (device === undefined) throw new Error(`${endpoint.name} has no device that could be played`)
  const { host, port, path } = device.dial
  const { promise, resolve } = Promise.withResolvers<Socket>()
  const address = {
    ...(host !== undefined && { host }),
    ...(port !== undefined && { port }),
    ...(path !== undefined && { path }),
  }
  const listener = await transport.listen(address, resolve)
  return { socket: promise, close: () => listener.close() }
}

/** Sends the chunks, half-closes, and gives everything that came back until the other side closed. */
export function talk(socket: Socket, chunks: readonly Buffer[]): Promise<Buffer> {
  const received: Buffer[] = []
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error('the server did not close the connection after the client had half-closed it'))
    }, 5000)
    socket.start({
      onData: (chunk) => received.push(chunk),
      onEnd: () => socket.end(),
      onDrain: () => undefined,
      onClose() {
        clearTimeout(timer)
        resolve(Buffer.concat(received))
      },
    })
    for (const chunk of chunks) socket.write(chunk)
    socket.end()
  })
}

/** @throws Error when a case names one that is not there */
function sinkOf({ sinks }: Outcome, name: string): readonly unknown[] {
  const sink = sinks.get(name)
  if (sink !== undefined) return sink
  throw new Error(`there is no sink "${name}"; there are ${[...sinks.keys()].join(', ') || 'none'}`)
}

function compare(test: DataflowCase, came: Outcome): void {
  const wanted = test.deadLetters ?? []
  const got = came.deadLetters
  if (got.length !== wanted.length) throw new Error(deadLetterCount(got, wanted.length))
  wanted.forEach(({ code, raw }, i) => {
    const letter = got[i]!
    if (code !== undefined) requireEqual(`code of dead letter ${i + 1}`, letter.code, code)
    if (raw !== undefined) requireEqual(`bytes of dead letter ${i + 1}`, letter.raw, shown(parseBytes(raw)))
  })
  for (const name of Object.keys(test.failing ?? {})) sinkOf(came, name)
  for (const [name, values] of Object.entries(test.sinks ?? {})) {
    const sink = sinkOf(came, name)
    if (isDeepStrictEqual(sink, values)) continue
    throw new Error(`sink ${name}: expected ${JSON.stringify(values)}, it got ${JSON.stringify(sink)}`)
  }
  if (test.replies !== undefined) requireEqual('replies', shown(came.replies), shown(parseBytes(test.replies)))
  if (test.serverGets !== undefined) {
    requireEqual('what the server got', shown(came.behind), shown(parseBytes(test.serverGets)))
  }
}

const NOTHING = Buffer.alloc(0)

function requireEqual(what: string, came: string, expected: string): void {
  if (came !== expected) throw new Error(`${what}: expected "${expected}", "${came}" came`)
}

function deadLetterCount(got: Outcome['deadLetters'], expected: number): string {
  const sentence = `dead letters: ${expected} expected, ${got.length} came: ${JSON.stringify(got)}`
  if (got.length < expected) return sentence
  const codes = got.map(({ code }) => `{ code: ${code} }`).join(', ')
  return `${sentence}; if they should come, write deadLetters: [${codes}]`
}

function shown(bytes: Buffer): string {
  return formatBytes(bytes, Number.POSITIVE_INFINITY)
}

/** A value as a case in YAML can write it: times and bytes are texts. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return formatBytes(value, Number.POSITIVE_INFINITY)
  if (value instanceof Date) return contentText(value)
  if (Array.isArray(value)) return value.map(plain)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
}
