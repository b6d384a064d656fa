import { expect, it } from 'vitest'
import { Receiver } from '../testing/receiver.ts'
import { createMemoryTransport, createSocketPair } from './memory.ts'

it('keeps the boundaries of writes', async () => {
  const [client, server] = createSocketPair()
  const receiver = new Receiver(server)
  for (const part of ['a', 'bc', '', 'd']) client.write(part)
  await receiver.received(4)
  expect(receiver.chunks.map(String)).toEqual(['a', 'bc', 'd'])
})

it('never calls back inside the call that caused it', () => {
  const [client, server] = createSocketPair()
  const sides = [new Receiver(client), new Receiver(server)]
  client.write('x')
  client.end()
  server.destroy()
  client.destroy()
  expect(sides.flatMap(({ calls }) => calls)).toEqual([])
})

it('asks the writer to wait above 64 KiB, and tells it once all is read', async () => {
  const [client, server] = createSocketPair()
  const writer = new Receiver(client)
  expect(client.write(Buffer.alloc(65_535))).toBe(true)
  expect(client.write('!')).toBe(false)
  expect(client.queued).toBe(65_536)
  const drained = writer.drained()
  const reader = new Receiver(server)
  await drained
  expect(reader.length).toBe(65_536)
  expect(client.queued).toBe(0)
})

it('delivers the chunks of many connections in the order of their writes, each time the same', async () => {
  const run = async () => {
    const transport = createMemoryTransport()
    const order: string[] = []
    const done = Promise.withResolvers<void>()
    const listener = await transport.listen({ port: 0 }, (socket) => {
      const receiver = new Receiver(socket)
      receiver.whenData = (chunk) => {
        if (order.push(`${socket.remote.port}: ${chunk}`) === 6) done.resolve()
      }
    })
    const dial = () => transport.dial({ port: listener.address.port, timeout: 1 })
    const clients = [await dial(), await dial(), await dial()]
    for (const text of ['1', '2']) for (const client of clients) client.write(text)
    await done.promise
    return order
  }
  expect(await run()).toEqual(await run())
})

it('each transport is a network of its own', async () => {
  const port = 9100
  await createMemoryTransport().listen({ port }, () => {})
  await createMemoryTransport().listen({ port }, () => {})
  await expect(createMemoryTransport().dial({ port, timeout: 1 })).rejects.toMatchObject({ code: 'connection_refused' })
})
