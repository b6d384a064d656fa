import { describe, expect, it } from 'vitest'
import { HttpServer } from '../support/http-server.ts'
import { Peer } from '../support/peer.ts'
import { start } from '../support/server.ts'

/** A server that answers each line with what a web server has said to it. */
async function asking(http: Record<string, unknown>, more: Record<string, unknown> = {}, format = 'json') {
  const dataflow = [{ request: { to: { http }, timeout: '5s', ...more } }, { reply: { value: 'msg' } }]
  const onError = [{ reply: '${error.code} ${error.retryable}: ${error.message}' }]
  return start({ listen: { shell: { port: 0, format, dataflow, onError } } } as never)
}

async function ask(port: number, line: string): Promise<string> {
  await using peer = await Peer.connect(port)
  return await peer.send(`${line}\n`).finish().end()
}

describe('request to a web server', () => {
  it('asks with GET and goes on with the JSON of the answer, beside what is there', async () => {
    await using web = await HttpServer.start()
    web.answer = (response, { path }) =>
      response.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8' }).end(JSON.stringify({ path }))
    await using running = await asking({ url: `${web.url}/items/\${msg.id}` }, { into: 'item' })
    await using peer = await Peer.connect(running.port())
    expect(await peer.send('{"id":7}\n{"id":8}\n').finish().end()).toBe(
      '{"id":7,"item":{"path":"/items/7"}}\n{"id":8,"item":{"path":"/items/8"}}\n',
    )
    expect(web.requests[0]).toMatchObject({ method: 'GET', body: '' })
    expect(web.requests[0]!.headers['content-length']).toBeUndefined()
    expect(web.connections).toBe(1)
  })

  it('sends a value as JSON, a text and bytes, each question once and with the key of its message', async () => {
    await using web = await HttpServer.start()
    for (const [payload, body, type] of [
      [{ value: '{"n": msg.n + 1}' }, '{"n":2}', 'application/json'],
      [{ text: 'n=${msg.n}' }, 'n=1', 'text/plain; charset=utf-8'],
      [{ raw: '\\x01${msg.n}' }, '\x011', 'application/octet-stream'],
    ] as const) {
      await using running = await asking({ url: web.url, bearer: 'T', headers: { 'X-A': '${msg.n}' } }, payload)
      expect(await ask(running.port(), '{"n":1}')).toMatch(/\n$/)
      const { method, headers, body: sent } = web.requests.at(-1)!
      expect([method, sent, headers['content-type']]).toEqual(['POST', body, type])
      expect(headers).toMatchObject({ authorization: 'Bearer T', 'x-a': '1', 'idempotency-key': expect.any(String) })
    }
    expect(web.connections).toBe(3)
  })

  it.each([
    ['text/plain', 'Größe', '"Größe"'],
    ['text/plain; charset=iso-8859-1', Buffer.from('Größe', 'latin1'), '"Größe"'],
    ['application/problem+json', '[1]', '[1]'],
    ['application/octet-stream', Buffer.from([1, 2]), '"AQI="'],
    ['application/json', '', 'null'],
  ])('reads %s', async (type, body, expected) => {
    await using web = await HttpServer.start()
    web.answer = (response) => response.writeHead(200, { 'Content-Type': type }).end(body)
    await using running = await asking({ url: web.url })
    expect(Buffer.from(await ask(running.port(), '1'), 'latin1').toString()).toBe(`${expected}\n`)
  })

  it('writes and reads in a format that is named', async () => {
    await using web = await HttpServer.start()
    web.answer = (response, { body }) => response.end(body)
    await using running = await asking({ url: web.url, method: 'PUT', format: 'text' }, { value: 'msg' })
    expect(await ask(running.port(), '"0aff"')).toBe('"0aff"\n')
    expect(web.requests).toMatchObject([{ method: 'PUT', body: '0aff' }])
  })

  it('fails after a refusal, an answer that cannot be read, one too long, and none', async () => {
    await using web = await HttpServer.start()
    await using running = await asking({ url: web.url, maxAnswer: 100 }, { timeout: '300ms' })
    const failing = async (answer: HttpServer['answer']) => {
      web.answer = answer
      return ask(running.port(), '1')
    }
    expect(await failing((response) => response.writeHead(404).end('no such item'))).toBe(
      `request_failed false: 127.0.0.1:${web.port}/ answered 404 Not Found: no such item\n`,
    )
    expect(await failing((response) => response.writeHead(503).end())).toMatch(/^request_failed true: .* 503 Service/)
    const json = { 'Content-Type': 'application/json' }
    expect(await failing((response) => response.writeHead(200, json).end('{"a":'))).toMatch(
      /^request_failed false: the answer of .* cannot be read: /,
    )
    expect(await failing((response) => response.end('x'.repeat(101)))).toMatch(/answered with more than 100 ?B/)
    expect(await failing(() => undefined)).toMatch(/^request_failed true: .* did not answer within 300ms\n$/)
    await web.stop()
    expect(await ask(running.port(), '1')).toMatch(/^request_failed true: nothing listens at /)
  })

  it('goes on after statuses that are named', async () => {
    await using web = await HttpServer.start()
    web.answer = (response) => response.writeHead(404).end()
    await using running = await asking({ url: web.url, success: ['2xx', 404] })
    expect(await ask(running.port(), '1')).toBe('null\n')
  })

  it('never asks twice by itself, also where the server closes the connection without a word', async () => {
    await using web = await HttpServer.start()
    await using running = await asking({ url: web.url }, { text: 'x' })
    expect(await ask(running.port(), '1')).toBe('"b2s="\n')
    web.answer = (response) => response.socket!.destroy()
    expect(await ask(running.port(), '2')).toMatch(/^request_failed true: .* has broken the connection\n$/)
    expect(web.requests).toHaveLength(2)
  })

  it('is given up when the step has not finished in its time, and the web server sees that', async () => {
    await using web = await HttpServer.start()
    const gone = Promise.withResolvers<void>()
    web.answer = (response) => void response.on('close', gone.resolve)
    const dataflow = [{ request: { to: { http: { url: web.url } }, timeout: '1m' }, timeout: '50ms' }]
    const onError = [{ reply: '${error.code}' }]
    await using running = await start({ listen: { shell: { port: 0, dataflow, onError } } } as never)
    expect(await ask(running.port(), '1')).toBe('step_timeout\n')
    await gone.promise
    expect(web.requests).toHaveLength(1)
  })

  it('is refused where it makes no sense, with the place', async () => {
    const url = 'http://h/'
    await expect(asking({ url }, { match: 'answer.ok' })).rejects.toThrow(/match has no meaning/)
    await expect(asking({ url }, { text: 'a', raw: 'b' })).rejects.toThrow(/only one of text and raw/)
    await expect(asking({ url, methd: 'GET' })).rejects.toThrow(/request\.to\.http has no option methd/)
    await expect(asking({ url: '${msg.url}' })).rejects.toThrow(/to\.http\.url.*no fixed host/s)
  })
})
