import { once } from 'node:events'
import { appendFile, writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readPlan } from '../../src/config/read-plan.ts'
import { createServerFromPlan } from '../../src/config/server.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import { eventually } from '../support/parts.ts'
import { start, temporaryFolder } from '../support/server.ts'

/** Many devices at one address: each connection is one. It answers each line with that line. */
async function devices(onSocket: (socket: Socket) => void = () => {}) {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
    onSocket(socket)
    socket.pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as { port: number }).port,
    sockets,
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
}

function hostsOf(count: number, port: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`scale-${i + 1}`, `127.0.0.1:${port}`]))
}

describe('an endpoint with hosts', () => {
  it('connects to each, by its id and with its tags, and asks each', async () => {
    await using scales = await devices()
    const hosts = Object.fromEntries(
      ['a', 'b', 'c'].map((id) => [id, { host: '127.0.0.1', port: scales.port, line: id.toUpperCase() }]),
    )
    await using running = await start({
      connect: {
        scales: {
          hosts,
          poll: { every: '1h', send: 'R' },
          dataflow: [{ log: '${client.id} ${client.tags.line} ${client.endpoint} ${msg}' }],
        },
      },
    })
    await eventually(() => running.all('part.logged').length === 3)
    const texts = running.all('part.logged').map(({ text }) => text)
    expect(texts.toSorted()).toEqual(['a A scales R', 'b B scales R', 'c C scales R'])
    expect(running.server.clients.list('scales').map(({ id }) => id)).toEqual(['a', 'b', 'c'])
    expect(running.server.endpoints).toMatchObject([{ name: 'scales', connections: 3 }])
  })

  it('sends to one by its id, and to all', async () => {
    await using scales = await devices()
    await using running = await start({
      listen: { orders: { port: 0, dataflow: [{ send: { to: { client: 'scale-2' }, text: 'tare' } }] } },
      connect: { scales: { hosts: hostsOf(3, scales.port), dataflow: [{ log: '${client.id} ${msg}' }] } },
    })
    await eventually(() => running.server.clients.list('scales').length === 3)
    running.server.clients.send({ endpoint: 'scales' }, 'text', 'all')
    await eventually(() => running.all('part.logged').length === 3)
    const socket = (await import('node:net')).connect(running.port('orders'), '127.0.0.1')
    socket.end('x\n')
    await running.event('part.logged', ({ text }) => text === 'scale-2 tare')
    expect(running.all('part.logged')).toHaveLength(4)
  })

  it('starts 300 within a second, one after the other, with one dataflow for all', async () => {
    const at: number[] = []
    await using scales = await devices(() => at.push(performance.now()))
    await using running = await start({
      connect: {
        scales: {
          hosts: hostsOf(300, scales.port),
          poll: { every: '1h', send: 'R' },
          dataflow: [{ sqlite: { file: 'w.db', table: 'w', columns: { id: 'client.id', text: 'msg' } } }],
        },
      },
    })
    const [endpoint] = running.server.endpoints
    await eventually(() => endpoint!.counters.messagesIn === 300)
    expect(endpoint!.counters.opened).toBe(300)
    expect(running.all('dial.failed')).toEqual([])
    // All at once would be within some ten milliseconds.
    expect(Math.max(...at) - Math.min(...at)).toBeGreaterThan(500)
  })

  it('calls a device that is lost again, under the same id, and no other', async () => {
    await using scales = await devices()
    await using running = await start({
      connect: {
        scales: { hosts: hostsOf(3, scales.port), reconnect: { first: '5ms', max: '20ms' }, dataflow: [{ log: 'x' }] },
      },
    })
    await eventually(() => running.server.clients.list('scales').length === 3)
    const port = running.server.clients.get('scale-2')!.localPort
    for (const socket of scales.sockets) if (socket.remotePort === port) socket.destroy()
    await eventually(() => running.all('connection.opened').length === 4)
    const ids = running.all('connection.opened').map(({ client }) => client.id)
    expect(ids.filter((id) => id === 'scale-2')).toHaveLength(2)
    expect(running.all('connection.closed').map(({ client }) => client.id)).toEqual(['scale-2'])
    expect(running.server.clients.get('scale-2')!.state).toBe('open')
  })

  it('names the device that cannot be reached, and tells who is connected', async () => {
    await using scales = await devices()
    await using running = await start({
      connect: {
        scales: { hosts: { here: `127.0.0.1:${scales.port}`, away: '127.0.0.1:1' }, dataflow: [{ log: 'x' }] },
      },
    })
    expect(await running.event('dial.failed')).toMatchObject({
      endpoint: 'scales',
      client: 'away',
      target: '127.0.0.1:1',
    })
    await running.event('connection.opened')
    const metrics = createMetrics(running.server, running.server.events)
    const text = await metrics.text()
    metrics.close()
    expect(text).toContain('sluice_device_connected{endpoint="scales",device="here"} 1')
    expect(text).toContain('sluice_device_connected{endpoint="scales",device="away"} 0')
  })
})

it('a reload after a change of the file touches only the lines that differ', async () => {
  await using scales = await devices()
  using folder = temporaryFolder()
  const file = join(folder.path, 'sluice.yaml')
  const table = join(folder.path, 'scales.csv')
  const line = (id: string, tag: string) => `${id},127.0.0.1,${scales.port},${tag}\n`
  await writeFile(table, `id,host,port,line\n${line('a', 'A')}${line('b', 'A')}${line('c', 'A')}`)
  await writeFile(file, 'connect: { scales: { hosts: scales.csv, dataflow: [ { log: "${msg}" } ] } }')
  const { plan } = await readPlan(file, {})
  const server = createServerFromPlan(plan!, {}, async (_: string, counters) => {
    return (await readPlan(file, {}, { counters })).plan!
  })
  try {
    const opened: string[] = []
    const closed: string[] = []
    server.events.on('connection.opened', ({ client }) => opened.push(client.id))
    server.events.on('connection.closed', ({ client, reason }) => closed.push(`${client.id} ${reason}`))
    await server.start()
    await eventually(() => opened.length === 3)
    await appendFile(table, line('d', 'A'))
    expect(await server.reload('')).toMatchObject({ added: ['scales/d'], unchanged: ['scales'] })
    await eventually(() => opened.length === 4)
    expect(closed).toEqual([])
    // One goes, one is another.
    await writeFile(table, `id,host,port,line\n${line('b', 'B')}${line('c', 'A')}${line('d', 'A')}`)
    expect(await server.reload('')).toMatchObject({ added: [], removed: ['scales/a'], changed: ['scales/b'] })
    await eventually(() => opened.length === 5)
    expect(closed.toSorted()).toEqual(['a drained', 'b drained'])
    expect(opened.at(-1)).toBe('b')
    expect(server.clients.get('b')!.tags).toEqual({ line: 'B' })
    expect(
      server.clients
        .list('scales')
        .map(({ id }) => id)
        .toSorted(),
    ).toEqual(['b', 'c', 'd'])
  } finally {
    await server.stop({ deadline: 2000 })
  }
})
