import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, expect, it } from 'vitest'
import type { ServerState } from '../engine/server.ts'
import { type Admin, startAdmin } from './server.ts'

const open: Admin[] = []
afterEach(async () => {
  for (const admin of open.splice(0)) await admin.close()
})

let state: ServerState = 'running'

it('serves metrics with their content type', async () => {
  const { get } = await start()
  const response = await get('/metrics?name=x')
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4')
  expect(await response.text()).toBe('up 1\n')
})

it('is alive in every state, and ready only while it runs', async () => {
  const { get } = await start()
  for (const [now, status] of [
    ['new', 503],
    ['starting', 503],
    ['running', 200],
    ['draining', 503],
    ['stopped', 503],
  ] as const) {
    state = now
    expect((await get('/health/live')).status).toBe(200)
    const response = await get('/health/ready')
    expect(response.status).toBe(status)
    const body = (await response.json()) as { causes: string[] }
    expect(body).toMatchObject({ ready: status === 200, state: now })
    expect(body.causes).toHaveLength(status === 200 ? 0 : 1)
  }
})

it('answers 404 for other paths and 405 for other methods', async () => {
  const { get } = await start()
  for (const path of ['/', '/metrics/', '/__proto__', '/constructor']) expect((await get(path)).status).toBe(404)
  const response = await get('/metrics', { method: 'POST', body: 'x' })
  expect(response.status).toBe(405)
  expect(response.headers.get('allow')).toBe('GET, HEAD')
  const head = await get('/metrics', { method: 'HEAD' })
  expect(head.status).toBe(200)
  expect(head.headers.get('content-length')).toBe('5')
})

it('answers 500 when metrics fail, and goes on', async () => {
  let broken = true
  const { get } = await start(async () => {
    if (broken) throw new Error('no')
    return 'ok'
  })
  expect((await get('/metrics')).status).toBe(500)
  broken = false
  expect((await get('/metrics')).status).toBe(200)
})

it('listens on loopback unless told otherwise', async () => {
  expect((await start()).admin.address.ip).toBe('127.0.0.1')
})

it('closes a connection that speaks no HTTP, without an answer', async () => {
  const { admin } = await start()
  const socket = connect(admin.address.port, '127.0.0.1')
  socket.end('\x00\x01\x02 no HTTP\r\n\r\n')
  expect(await text(socket)).toBe('')
})

it('close ends connections that are kept alive', async () => {
  const { admin } = await start()
  const socket = connect(admin.address.port, '127.0.0.1')
  socket.write('GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n')
  await once(socket, 'data')
  await Promise.all([open.pop()!.close(), once(socket, 'close')])
})

it('says when its port is taken', async () => {
  const { admin } = await start()
  const { port } = admin.address
  await expect(startAdmin({ port, metrics, health: () => state })).rejects.toMatchObject({
    code: 'address_in_use',
    message: `admin: something else listens on 127.0.0.1:${port}`,
  })
})

const metrics = { contentType: 'text/plain; version=0.0.4', text: async () => 'up 1\n' }

async function start(content = metrics.text) {
  const admin = await startAdmin({ port: 0, metrics: { ...metrics, text: content }, health: () => state })
  open.push(admin)
  const get = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${admin.address.port}${path}`, init)
  return { admin, get }
}
