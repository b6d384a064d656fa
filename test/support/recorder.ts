import type { Socket } from '../../src/contracts/transport.ts'
import { Receiver } from '../../src/testing/receiver.ts'
import { createTcp } from '../../src/transports/tcp.ts'

/**
 * A server that records what its connections send, on a Unix socket so that it can come back at the same address.
 * @param silent it accepts, and neither reads nor ends
 */
export async function startRecorder(path: string, { silent = false } = {}) {
  const transport = createTcp()
  const connections: Receiver[] = []
  let arrival = Promise.withResolvers<void>()
  const sockets: Socket[] = []
  const listen = () =>
    transport.listen({ path }, (socket) => {
      sockets.push(socket)
      if (silent) return
      const receiver = new Receiver(socket)
      receiver.whenData = () => {
        arrival.resolve()
        arrival = Promise.withResolvers()
      }
      void receiver.ended.then(() => socket.end())
      connections.push(receiver)
    })
  let listener = await listen()
  const lines = () =>
    connections
      .map(({ text }) => text)
      .join('')
      .split('\n')
      .slice(0, -1)
  return {
    path,
    sockets,
    connections,
    async lines(count: number) {
      while (lines().length < count) await arrival.promise
      return lines()
    },
    async stop() {
      await listener.close()
      for (const socket of sockets) socket.destroy()
      await Promise.all(connections.map(({ closed }) => closed))
    },
    async restart() {
      listener = await listen()
    },
  }
}
