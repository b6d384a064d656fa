import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { HttpClient } from './http-client.ts'

const servers: Server[] = []
const client = new HttpClient(undefined)

afterEach(() => {
  client.close()
  for (const server of servers.splice(0)) server.close()
})

test('says whether the whole request was taken when the answer came', async () => {
  // An answer to what is still on its way: its body lies in memory that must not change yet.
  const server = createServer((_, response) => response.end('enough')).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  const send = (length: number) =>
    client.send({ url, method: 'POST', headers: {}, body: Buffer.alloc(length), timeout: 9000 })
  expect(await send(1000)).toMatchObject({ status: 200, isSent: true })
  expect(await send(2 ** 28)).toMatchObject({ status: 200, isSent: false })
})
