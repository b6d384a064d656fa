import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generate } from 'selfsigned'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { hasClient } from '../../scripts/debian-clients.ts'
import { HttpChild } from '../../test/support/http-child.ts'
import { HttpServer } from '../../test/support/http-server.ts'
import { Nginx } from '../../test/support/nginx.ts'
import { keepsOrder, SinkLoad } from '../../test/support/sink-load.ts'
import { batchOf, value, write } from '../../test/support/sink-values.ts'
import type { SluiceError } from '../contracts/errors.ts'
import type { Sink } from '../contracts/sink.ts'
import { withMerging } from '../delivery/merging.ts'
import { withRetry } from '../delivery/retry.ts'
import { createTestContext } from '../testing/part-context.ts'
import { http } from './http.ts'

let folder: string
const opened: Sink[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-http-'))
})
afterEach(async () => {
  for (const sink of opened.splice(0)) await sink.close()
  rmSync(folder, { recursive: true })
})

async function open(url: string, given: Record<string, unknown> = {}, context = createTestContext()): Promise<Sink> {
  const options = http.options.parse({ url, ...given })
  const sink = await http.create({ ...options, url: value(url, () => url) }, context)
  opened.push(sink)
  return sink
}

const unavailable = (message: unknown) => ({ code: 'sink_unavailable', retryable: true, message })

test('nobody there, then somebody', async () => {
  await using server = await HttpServer.start()
  const sink = await open(server.url)
  await server.stop()
  await expect(write(sink, ['a'])).rejects.toMatchObject(unavailable(`nothing listens at 127.0.0.1:${server.port}`))
  await server.begin()
  expect(await write(sink, ['b'])).toEqual([undefined])
  expect(server.bodies).toEqual(['b'])
})

test('a server that does not answer, or not to the end, costs the timeout', async () => {
  await using server = await HttpServer.start()
  const sink = await open(server.url, { timeout: '1s' })
  const late = unavailable(`127.0.0.1:${server.port} did not answer within 1s`)
  server.answer = () => undefined
  await expect(write(sink, ['a'])).rejects.toMatchObject(late)
  server.answer = (response) => response.writeHead(200).write('begun')
  await expect(write(sink, ['b'])).rejects.toMatchObject(late)
  server.answer = (response) => response.writeHead(400).write('the reason')
  const outcomes = await write(sink, ['c'])
  expect(outcomes).toEqual([expect.stringMatching(/answered 400 Bad Request: the reason$/)])
})

test('a yes that breaks off is no yes', async () => {
  await using server = await HttpServer.start()
  const sink = await open(server.url)
  server.answer = (response) => {
    response.writeHead(200, { 'Content-Length': '100' }).write('begun', () => response.destroy())
  }
  await expect(write(sink, ['a'])).rejects.toMatchObject(
    unavailable(`127.0.0.1:${server.port} has broken the connection`),
  )
})

test('a long answer is not read to its end', async () => {
  await using server = await HttpServer.start()
  let written = 0
  server.answer = (response) => {
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(16 * 1024, 97))) written++
    }
    response.on('drain', more)
    more()
  }
  expect(await write(await open(server.url), ['a'])).toEqual([undefined])
  expect(written).toBeLessThan(1000)
})

test('a kept connection that was closed meanwhile costs nothing', async () => {
  await using server = await HttpServer.start()
  const sink = await open(server.url)
  for (let i = 0; i < 20; i++) {
    expect(await write(sink, [`${i}`])).toEqual([undefined])
    await server.disconnect()
  }
  expect(server.bodies).toEqual(Array.from({ length: 20 }, (_, i) => `${i}`))
  expect(server.connections).toBe(20)
})

test('what is no web server is named so', async () => {
  const sockets: Socket[] = []
  const other = createServer((socket) =>
    sockets.push(socket.on('error', () => undefined).on('data', () => socket.end('220 mail\r\n\r\n'))),
  )
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  const { port } = other.address() as { port: number }
  await expect(write(await open(`http://127.0.0.1:${port}`), ['a'])).rejects.toMatchObject(
    unavailable(`127.0.0.1:${port} does not answer in HTTP`),
  )
  const tls = await open(`https://127.0.0.1:${port}`)
  expect(await write(tls, ['a'])).toEqual([expect.stringMatching(/^TLS with 127.0.0.1:\d+ failed/)])
  other.close()
})

test('TLS: an authority of our own is believed when it is named, and nobody else is', async () => {
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
    ],
  })
  writeFileSync(join(folder, 'ca.pem'), cert)
  await using server = await HttpServer.start({ cert, key })
  const context = createTestContext({ resolvePath: (path) => join(folder, path) })
  expect(await write(await open(server.url, { tls: { ca: 'ca.pem' } }, context), ['a'])).toEqual([undefined])
  expect(await write(await open(server.url, { tls: { insecure: true } }, context), ['b'])).toEqual([undefined])
  const outcomes = await (await open(server.url, {}, context)).write(batchOf(['c']))
  expect(outcomes?.[0]).toMatchObject({
    code: 'sink_unavailable',
    retryable: false,
    message: `the certificate of localhost:${server.port} is not signed by an authority that is trusted`,
    hint: 'Give the file of its authority: tls: { ca: FILE }.',
  })
  const named = await open(server.url.replace('localhost', '127.0.0.1'), { tls: { ca: 'ca.pem' } }, context)
  expect(await write(named, ['d'])).toEqual([`the certificate of 127.0.0.1:${server.port} is for another name`])
  expect(server.bodies).toEqual(['a', 'b'])
})

test('aborting ends a request at once', async () => {
  await using server = await HttpServer.start()
  server.answer = () => undefined
  const controller = new AbortController()
  const sink = await open(server.url, {}, createTestContext({ signal: controller.signal }))
  const written = write(sink, ['a'])
  await server.received(1)
  controller.abort()
  await expect(written).rejects.toMatchObject({ code: 'sink_unavailable' })
})

test('no other request is begun for whom nobody waits', async () => {
  await using server = await HttpServer.start()
  const over = new AbortController()
  server.answer = (response) => {
    over.abort()
    response.end()
  }
  const sink = await open(server.url)
  const outcomes = await sink.write(batchOf(['a', 'b', 'c']), over.signal)
  expect(outcomes).toMatchObject([undefined, ...['b', 'c'].map(() => ({ code: 'step_timeout' }))])
  expect(server.bodies).toEqual(['a'])
})

test('a process that stands still costs the timeout, and goes on afterwards', async () => {
  await using child = new HttpChild(join(folder, 'bodies'))
  await child.begin()
  const sink = await open(`http://127.0.0.1:${child.port}`, { timeout: '1500ms' })
  expect(await write(sink, ['a'])).toEqual([undefined])
  child.signal('SIGSTOP')
  for (const text of ['b', 'c']) await expect(write(sink, [text])).rejects.toMatchObject(unavailable(/did not answer/))
  child.signal('SIGCONT')
  expect(await write(sink, ['d'])).toEqual([undefined])
})

test.each(['none', 'lines'])(
  'killed five times under load: all that was confirmed is there, batch %s',
  { timeout: 60_000 },
  async (batch) => {
    await using child = new HttpChild(join(folder, 'bodies'))
    await child.begin()
    const bare = await open(`http://127.0.0.1:${child.port}`, { batch, timeout: '5s', maxInFlight: 4 })
    const merged = withMerging(bare, { maxBatch: 100, maxWait: 0, maxInFlight: 4 })
    const retried = new Set<string>()
    const onRetry = (_: number, { code }: SluiceError) => retried.add(code)
    const { signal } = createTestContext()
    const sink = withRetry(merged, { forMs: 30_000, step: 's', signal, onRetry })
    const load = new SinkLoad(sink, 16)
    for (let round = 0; round < 5; round++) {
      await load.confirm(300)
      await child.kill()
      await child.begin()
    }
    await load.stop()
    const stored = readFileSync(join(folder, 'bodies'), 'utf8').split('\n').filter(Boolean)
    const distinct = new Set(stored)
    expect(load.confirmed.length).toBeGreaterThan(1500)
    expect(load.confirmed.filter((text) => !distinct.has(text))).toEqual([])
    expect([...retried]).toEqual(['sink_unavailable'])
    // What was under way when the server died may be there twice: maxInFlight requests each time.
    expect(stored.length - distinct.size).toBeLessThanOrEqual(5 * 4 * (batch === 'none' ? 1 : 100))
    expect(keepsOrder(stored)).toBe(true)
  },
)

describe.skipIf(!hasClient('nginx'))('behind nginx', () => {
  test('413 makes smaller requests, down to the message that is too large', async () => {
    await using server = await HttpServer.start()
    await using nginx = await Nginx.start(server.port, 'client_max_body_size 4k;')
    const sink = await open(`http://127.0.0.1:${nginx.port}`, { batch: 'array' })
    const values = [...Array.from({ length: 10 }, () => 'x'.repeat(1000)), 'y'.repeat(300_000), 'z']
    const outcomes = await write(sink, values)
    expect(outcomes.filter((outcome) => outcome !== undefined)).toHaveLength(1)
    expect(outcomes[10]).toMatch(/answered 413 Request Entity Too Large/)
    expect(server.bodies.flatMap((body) => JSON.parse(body) as string[])).toEqual([...values.slice(0, 10), 'z'])
  })

  test('502 while the server behind it is away is worth another try', async () => {
    await using server = await HttpServer.start()
    await using nginx = await Nginx.start(server.port, '')
    const sink = await open(`http://127.0.0.1:${nginx.port}`)
    await server.stop()
    await expect(write(sink, ['a'])).rejects.toMatchObject(
      unavailable(expect.stringMatching(/answered 502 Bad Gateway: </)),
    )
    await server.begin()
    expect(await write(sink, ['b'])).toEqual([undefined])
  })

  test('connections that it closes after a few requests, or after a short silence, cost no message', async () => {
    await using server = await HttpServer.start()
    await using nginx = await Nginx.start(server.port, 'keepalive_requests 3; keepalive_timeout 1ms;')
    const sink = await open(`http://127.0.0.1:${nginx.port}`, { maxInFlight: 4 })
    for (let i = 0; i < 50; i++) {
      expect(
        await write(
          sink,
          Array.from({ length: 4 }, (_, k) => `${i}/${k}`),
        ),
      ).toEqual(Array(4).fill(undefined))
    }
    expect(server.bodies).toHaveLength(200)
    expect(new Set(server.bodies).size).toBe(200)
  })
})
