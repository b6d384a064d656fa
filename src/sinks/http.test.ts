import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Answer, HttpServer } from '../../test/support/http-server.ts'
import { batchOf, value, write } from '../../test/support/sink-values.ts'
import { readRetryAfter } from '../brokers/http-answer.ts'
import { Batch } from '../contracts/batch.ts'
import type { PartContext } from '../contracts/context.ts'
import type { Message } from '../contracts/message.ts'
import type { Template } from '../contracts/schema.ts'
import type { Sink } from '../contracts/sink.ts'
import { json } from '../formats/json.ts'
import { definitionSuite } from '../testing/definition-suite.ts'
import { createFramesBatch, createMessages, createTestContext, testSource } from '../testing/part-context.ts'
import { sinkSuite } from '../testing/sink-suite.ts'
import { http } from './http.ts'
import { idempotencyKey } from './http-requests.ts'

let server: HttpServer
const opened: Sink[] = []

beforeEach(async () => {
  server = await HttpServer.start()
})
afterEach(async () => {
  for (const sink of opened.splice(0)) await sink.close()
  await server.stop()
})

const fixed = (source: string): Template => value(source, () => source)
const msg = (message: Message) => message.msg as Record<string, string>

type Given = Record<string, unknown> & { url?: string | Template; headers?: Record<string, Template> }

function optionsOf({ url = server.url, headers, ...given }: Given) {
  const options = http.options.parse({ url: 'https://example.com', ...given })
  return { ...options, url: typeof url === 'string' ? fixed(url) : url, headers }
}

async function open(given: Given = {}, context: PartContext = createTestContext()): Promise<Sink> {
  const sink = await http.create(optionsOf(given), context)
  opened.push(sink)
  return sink
}

const status =
  (code: number, headers: Record<string, string> = {}, body = ''): Answer =>
  (response) =>
    response.writeHead(code, headers).end(body)

async function failureOf(sink: Sink, values: readonly unknown[] = ['a']) {
  const outcomes = await Promise.resolve(sink.write(batchOf(values))).catch((thrown: unknown) => [thrown])
  return outcomes?.[0]
}

describe('the definition', () => {
  for (const { name, run } of definitionSuite(http)) test(name, run)

  const problemsOf = (given: Given) =>
    http.check!(optionsOf(given), { resolvePath: (path) => path }).map(({ message }) => message)

  test('wants a host that no message can choose', () => {
    const good = [
      'http://a',
      'https://a.b:8/c?d=${msg.e}',
      'https://${env.HOST}:8/${msg.id}',
      '${env.URL}',
      '${ env.URL }/${msg.id}',
    ]
    for (const url of good) expect(problemsOf({ url })).toEqual([])
    const bad = [
      'ftp://a',
      '${msg.url}',
      'http://${msg.host}/',
      'http://a${msg.b}',
      '${env.URL}${msg.b}',
      'https://',
      'a.b/c',
    ]
    for (const url of bad) expect(problemsOf({ url })).toEqual(['the url has no fixed host'])
    expect(problemsOf({ url: 'http://me:pw@host/' })).toEqual(['the url holds credentials'])
    expect(problemsOf({ url: 'http://a:99999/' })).toEqual(['the url is not valid'])
  })

  test('wants one way to say who we are', () => {
    expect(problemsOf({ user: 'a' })).toEqual(['user is of no use without password'])
    expect(problemsOf({ bearer: 'a', user: 'b', password: 'c' })).toEqual(['there are several credentials'])
    expect(problemsOf({ bearer: 'a', headers: { authorization: fixed('b') } })).toEqual([
      'there are several credentials',
    ])
    const refused = (name: string) => http.options.safeParse({ url: 'http://a', headers: { [name]: 'x' } }).success
    for (const name of ['Content-Length', 'host', 'Transfer-Encoding', 'a b', '']) expect(refused(name)).toBe(false)
    expect(refused('X-Own')).toBe(true)
  })
})

describe('as any sink', () => {
  for (const batch of ['none', 'array', 'lines'] as const) {
    const suite = sinkSuite({
      unprintable: { value: undefined },
      async create() {
        const sink = await open({ batch, maxInFlight: 1 })
        const read = () =>
          server.bodies.flatMap((body) => {
            if (batch === 'array') return JSON.parse(body) as string[]
            return batch === 'lines' ? body.split('\n').slice(0, -1) : [body]
          })
        return { sink, received: async () => read() }
      },
      async fail() {
        await server.stop()
        return () => server.begin()
      },
    })
    for (const { name, run } of suite) test(`batch ${batch}: ${name}`, run)
  }
})

describe('requests', () => {
  test('one for each message, with what is known about it', async () => {
    const headers = {
      'X-Client': value('${client.id}', ({ client }) => client.id),
      'X-Empty': fixed(''),
      'content-type': fixed('text/csv'),
    }
    const url = value(
      `${server.url}/devices/\${msg.id}?v=1`,
      (message) => `${server.url}/devices/${msg(message)['id']}?v=1`,
    )
    const sink = await open({ url, method: 'PUT', headers, bearer: 'token' })
    await write(sink, [{ id: 'a b' }, { id: 'ü' }])
    expect(server.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'PUT /devices/a%20b?v=1',
      'PUT /devices/%C3%BC?v=1',
    ])
    expect(server.requests[0]!.headers).toMatchObject({
      authorization: 'Bearer token',
      'content-type': 'text/csv',
      'content-length': '12',
      'idempotency-key': 'boot-test-1-1',
      'user-agent': 'sluice',
      'x-client': 'test-1',
    })
    expect(server.requests[0]!.headers).not.toHaveProperty('x-empty')
    expect(server.bodies).toEqual(['{"id":"a b"}', '{"id":"ü"}'])
  })

  test('the type follows the value, and basic credentials are sent', async () => {
    const sink = await open({ user: 'me', password: 'pä:ss' })
    await write(sink, ['text', { a: 1 }, Buffer.from([0]), 7])
    expect(server.requests.map(({ headers }) => headers['content-type'])).toEqual([
      'text/plain; charset=utf-8',
      'application/json',
      'application/octet-stream',
      'application/json',
    ])
    const basic = server.requests[0]!.headers.authorization!.replace('Basic ', '')
    expect(Buffer.from(basic, 'base64').toString()).toBe('me:pä:ss')
  })

  test('bytes that nobody changed are sent as they are', async () => {
    const format = json.create({ maxDepth: 64 })
    const context = createTestContext({ codec: { ...createTestContext().codec, format } })
    const batch = () => createFramesBatch(['{"n": 12345678901234567890}', '[ 1 ]'], format)
    await (await open({}, context)).write(batch())
    await (await open({ batch: 'lines' }, context)).write(batch())
    await (await open({ batch: 'array' }, context)).write(batch())
    expect(server.bodies).toEqual([
      '{"n": 12345678901234567890}',
      '[ 1 ]',
      '{"n": 12345678901234567890}\n[ 1 ]\n',
      '[{"n":12345678901234567000},[1]]',
    ])
    expect(server.requests.slice(2).map(({ headers }) => headers['content-type'])).toEqual([
      'application/x-ndjson',
      'application/json',
    ])
  })

  test('one body after the other lies in the same memory, and each is what it should be', async () => {
    const sink = await open({ batch: 'lines' })
    for (let i = 0; i < 20; i++) {
      const values = Array.from({ length: 1 + ((i * 7) % 50) }, (_, n) => `${i}-${n}`.repeat(100))
      await write(sink, values)
      expect(server.bodies.at(-1)).toBe(values.map((line) => `${line}\n`).join(''))
    }
  })

  test('many messages share one, apart for each url and set of headers', async () => {
    const url = value(`${server.url}/\${msg.to}`, (message) => `${server.url}/${msg(message)['to']}`)
    const headers = { 'X-Kind': value('${msg.kind}', (message) => msg(message)['kind']) }
    const sink = await open({ url, headers, batch: 'array' })
    const values = ['a1', 'b1', 'a1', 'a2'].map((text, n) => ({ to: text[0], kind: text[1], n }))
    expect(await write(sink, values)).toEqual(Array(4).fill(undefined))
    const seen = server.requests.map(({ path, headers, body }) => [
      path,
      headers['x-kind'],
      (JSON.parse(body) as { n: number }[]).map(({ n }) => n),
    ])
    expect(seen.sort()).toEqual([
      ['/a', '1', [0, 2]],
      ['/a', '2', [3]],
      ['/b', '1', [1]],
    ])
  })

  test('what a message makes of url and headers cannot lead elsewhere', async () => {
    const url = value(`${server.url}/in/\${msg.id}`, (message) => `${server.url}/in/${msg(message)['id']}`)
    const headers = { 'X-Id': value('${msg.id}', (message) => msg(message)['h'] ?? '') }
    const sink = await open({ url, headers })
    const ids = ['..', '../admin', '%2e%2E/x', 'a\nb', 'a\\b', 'a#b', 'ok/..x', 'a\0']
    expect(await write(sink, [...ids.map((id) => ({ id })), { id: 'h', h: 'a\r\nX-Evil: 1' }])).toEqual([
      ...Array(6).fill('what the message makes of the url is no valid address'),
      undefined,
      'what the message makes of the url is no valid address',
      'the header X-Id would have characters that no header may have',
    ])
    expect(server.requests.map(({ path }) => path)).toEqual(['/in/ok/..x'])
  })

  test('the key is the same for the same messages', () => {
    const keyOf = (...keys: string[]) => {
      const messages = createMessages(keys)
      return idempotencyKey(messages.map((message, i) => message.withKey(keys[i]!)))
    }
    expect(keyOf('boot-1-2')).toBe('boot-1-2')
    expect(keyOf('with blank')).toMatch(/^[0-9a-f]{64}$/)
    expect(keyOf('a', 'b')).toBe(keyOf('a', 'b'))
    expect(new Set([keyOf('a', 'b'), keyOf('b', 'a'), keyOf('a,b'), keyOf('ab')]).size).toBe(4)
    const [first, second] = createMessages(['a', 'a'])
    expect(idempotencyKey([first!])).toBe('boot-test-1-1')
    const keys = [
      [first!, second!],
      [second!, first!],
      [first!.asPart(1), first!.asPart(2)],
      [first!, first!],
    ]
    expect(new Set(keys.map(idempotencyKey)).size).toBe(4)
  })

  test('connections are kept; those of one client keep their order, others go side by side', async () => {
    const waiting: (() => void)[] = []
    let most = 0
    server.answer = (response) => {
      waiting.push(() => response.end())
      most = Math.max(most, waiting.length)
      if (waiting.length === 3) for (const go of waiting.splice(0)) go()
    }
    const sink = await open({ maxInFlight: 3 })
    const lanes = Array.from({ length: 6 }, (_, i) => testSource({ id: `lane-${i}` }))
    const messages = Array.from({ length: 10 }, (_, n) =>
      lanes.flatMap((source, i) => createMessages([{ i, n }], { source })),
    ).flat()
    expect(await sink.write(Batch.of(messages))).toBeUndefined()
    expect(most).toBe(3)
    expect(server.connections).toBe(3)
    const seen = server.bodies.map((body) => JSON.parse(body) as { i: number; n: number })
    for (let i = 0; i < 6; i++) {
      expect(seen.filter((one) => one.i === i).map(({ n }) => n)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    }
  })

  test('sinks share connections', async () => {
    await write(await open(), ['a'])
    const context = createTestContext()
    await write(await open({}, context), ['b'])
    await write(await open({ method: 'PATCH' }, context), ['c'])
    expect(server.connections).toBe(2)
  })
})

describe('answers', () => {
  test('2xx confirms, or what success says', async () => {
    for (const code of [200, 201, 202, 204, 226]) {
      server.answer = status(code)
      expect(await write(await open(), ['a'])).toEqual([undefined])
    }
    server.answer = status(409)
    expect(await write(await open({ success: ['2xx', 409] }), ['a'])).toEqual([undefined])
    server.answer = status(202)
    expect(await failureOf(await open({ success: [200] }))).toMatchObject({ code: 'sink_failed' })
  })

  test.each([408, 425, 429, 500, 502, 503, 504])('%i may work later', async (code) => {
    server.answer = status(code, { 'Retry-After': '3' }, 'try  \n again')
    const error = await failureOf(await open({ url: `${server.url}/in?token=hidden` }))
    expect(error).toMatchObject({ code: 'sink_unavailable', retryable: true, retryAfter: 3000 })
    expect((error as Error).message).toMatch(new RegExp(`^127.0.0.1:\\d+/in answered ${code} .*: try again$`))
  })

  test.each([400, 401, 403, 404, 405, 410, 413, 415, 422])('%i is the last word', async (code) => {
    server.answer = status(code, { 'Retry-After': '3' }, `no ${'x'.repeat(500)}`)
    const error = await failureOf(await open())
    expect(error).toMatchObject({ code: 'sink_failed', retryable: false, retryAfter: 0 })
    expect((error as Error).message).toMatch(/: no x{197}…$/)
    expect(server.requests).toHaveLength(1)
  })

  test.each([301, 302, 303, 307, 308])('%i is refused, with the cure', async (code) => {
    server.answer = status(code, { Location: 'https://elsewhere.example/x?token=hidden' })
    expect(await failureOf(await open())).toMatchObject({
      code: 'sink_failed',
      message: `127.0.0.1:${server.port}/ redirects elsewhere (${code}): to https://elsewhere.example`,
      hint: 'Write the address that it redirects to as url; redirects are not followed.',
    })
    expect(server.requests).toHaveLength(1)
  })

  test('Retry-After is seconds or a date', () => {
    const now = Date.UTC(1994, 10, 6, 8, 49, 7)
    const read = (text: string | undefined) => readRetryAfter(text, now)
    expect(read('120')).toBe(120_000)
    expect(read('Sun, 06 Nov 1994 08:49:37 GMT')).toBe(30_000)
    expect(read('Sunday, 06-Nov-94 08:49:37 GMT')).toBe(30_000)
    expect(read('Sun Nov  6 08:49:37 1994')).toBe(30_000)
    expect(read('Sun, 06 Nov 1994 08:00:00 GMT')).toBe(0)
    expect(read('99999999999')).toBe(86_400_000)
    for (const none of [undefined, '', '-1', '1.5', 'soon', 'Never']) expect(read(none)).toBe(0)
  })

  test('a server that answers with our credentials does not get them into an error', async () => {
    server.answer = (response, { headers }) => response.writeHead(403).end(`bad: ${headers.authorization}`)
    const error = await failureOf(await open({ bearer: 'very-secret' }))
    expect((error as Error).message).toMatch(/: bad: Bearer …$/)
  })

  test('one bad message of many fails alone', async () => {
    server.answer = (response, { body }) => response.writeHead(body.includes('bad') ? 422 : 200).end('no')
    const values = Array.from({ length: 20 }, (_, i) => (i === 13 ? 'bad' : `m${i}`))
    for (const batch of ['array', 'lines']) {
      server.requests.length = 0
      const outcomes = await write(await open({ batch }), values)
      expect(outcomes.flatMap((outcome, i) => (outcome === undefined ? [] : [i]))).toEqual([13])
      const taken = server.bodies.filter((body) => !body.includes('bad')).join()
      for (const good of values) if (good !== 'bad') expect(taken.split(good)).toHaveLength(good === 'm1' ? 11 : 2)
      expect(server.requests.length).toBeLessThan(12)
    }
  })

  test('what concerns all of them is not tried with each', async () => {
    server.answer = status(401)
    expect(await write(await open({ batch: 'array' }), ['a', 'b', 'c'])).toEqual(
      Array(3).fill(expect.stringMatching(/401/)),
    )
    expect(server.requests).toHaveLength(1)
  })

  test('what follows a message that must wait, waits too; other connections go on', async () => {
    server.answer = (response, { body }) => response.writeHead(body === 'a2' ? 503 : body === 'a1' ? 400 : 200).end()
    const messages = ['a', 'b'].flatMap((lane) =>
      createMessages(
        [1, 2, 3].map((n) => `${lane}${n}`),
        { source: testSource({ id: lane }) },
      ),
    )
    const outcomes = await (await open()).write(Batch.of(messages))
    expect((outcomes ?? []).map((error) => error?.retryable)).toEqual([
      false,
      true,
      true,
      undefined,
      undefined,
      undefined,
    ])
    expect(server.bodies.sort()).toEqual(['a1', 'a2', 'b1', 'b2', 'b3'])
  })
})
