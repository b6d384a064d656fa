import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { Peer } from '../support/peer.ts'
import { start } from '../support/server.ts'

/** More than the buffers of both kernels hold, so that it leaves only when the server reads. */
const FLOOD = Buffer.alloc(16 << 20, 'more\n')

const dataflow = [{ reply: 'BYE' }, { close: {} }]

describe('a close step', () => {
  it('lets its answer arrive at a client that goes on sending and reads late', async () => {
    await using running = await start({ listen: { quit: { port: 0, dataflow } } })
    await using peer = await Peer.connect(running.port())
    let failed: Error | undefined
    peer.socket.on('error', (error) => {
      failed = error
    })
    await running.event('connection.opened')
    const [client] = running.server.clients.list('quit')
    peer.socket.pause()
    peer.send('QUIT\n')
    while (running.server.clients.get(client!.id)?.state === 'open') await new Promise(setImmediate)
    peer.socket.write(FLOOD)
    await once(peer.socket, 'drain')
    peer.socket.resume()
    expect(await peer.end()).toBe('BYE\n')
    expect(peer.ended).toBe(true)
    const { reason, client: gone } = await running.event('connection.closed')
    expect(reason).toBe('closed_by_step')
    expect(gone.messagesIn).toBe(1)
    expect(failed).toBeUndefined()
  })

  it('ends the connection also when the client never sends its FIN', async () => {
    await using running = await start({ listen: { quit: { port: 0, dataflow } } })
    await using peer = await Peer.connect(running.port())
    expect(await peer.send('QUIT\n').hear('BYE\n')).toBe('BYE\n')
    // The server waits 2 s for a FIN; this peer sends none.
    expect((await running.event('connection.closed')).reason).toBe('closed_by_step')
    expect(peer.ended).toBe(true)
  })
})
