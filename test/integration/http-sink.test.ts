import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import type { Config } from '../../src/index.ts'
import { HttpServer } from '../support/http-server.ts'
import { Peer } from '../support/peer.ts'
import { start } from '../support/server.ts'

const yaml = (more = '') => `
  listen:
    scans:
      port: 0
      format: json
      dataflow:
        - http:
            url: \${env.API}/devices/\${msg.device}
            headers: { X-Token: "\${env.TOKEN}", X-Client: "\${client.ip}" }
            ${more}
        - reply: "OK \${msg.id}"
      onError:
        - reply: "ERR \${msg.id} \${error.message}"
        - deadLetter: {}
`

describe('http in a configuration', () => {
  it('a device hears OK when the server has said yes, in order, and the secret goes to the server alone', async () => {
    await using api = await HttpServer.start()
    api.answer = (response, { headers, body }) => {
      const isBad = body.includes('"id":7')
      response.writeHead(isBad ? 400 : 201).end(isBad ? 'not seven' : `seen ${headers['x-token']}`)
    }
    await using running = await start(parse(yaml()) as Config, { env: { API: api.url, TOKEN: 'very-secret' } })
    const peers = await Promise.all(Array.from({ length: 6 }, () => Peer.connect(running.port())))
    await Promise.all(
      peers.map(async (peer, n) => {
        const ids = Array.from({ length: 10 }, (_, id) => id)
        peer.send(ids.map((id) => `{"device":"d${n}","id":${id}}\n`).join(''))
        const host = new URL(api.url).host
        const answers = ids.map((id) =>
          id === 7 ? `ERR 7 ${host} answered 400 Bad Request: not seven\n` : `OK ${id}\n`,
        )
        expect(await peer.finish().end()).toBe(answers.join(''))
      }),
    )
    for (let n = 0; n < peers.length; n++) {
      const own = api.requests.filter(({ path }) => path === `/devices/d${n}`)
      expect(own.map(({ body }) => (JSON.parse(body) as { id: number }).id)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      expect(own[0]!.headers).toMatchObject({ 'x-token': 'very-secret', 'x-client': '127.0.0.1' })
    }
    expect(JSON.stringify(running.events)).not.toContain('very-secret')
  })

  it('waits as long as the server asks, with the same key', async () => {
    await using api = await HttpServer.start()
    api.answer = (response) => {
      if (api.requests.length > 1) response.end()
      else response.writeHead(503, { 'Retry-After': '1' }).end()
    }
    await using running = await start(parse(yaml('batch: lines')) as Config, { env: { API: api.url, TOKEN: 'x' } })
    await using peer = await Peer.connect(running.port())
    peer.send('{"device":"a","id":1}\n')
    const { retryIn } = await running.event('sink.retried')
    expect(retryIn).toBeGreaterThanOrEqual(1000)
    expect(await peer.finish().end()).toBe('OK 1\n')
    const [first, second] = api.requests
    expect(second).toEqual(first)
    expect(first!.headers['idempotency-key']).toMatch(/^\S+$/)
  })
})
