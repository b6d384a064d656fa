import { expect, it } from 'vitest'
import { Peer } from '../../test/support/peer.ts'
import { createServer } from '../index.ts'

it('counts tests that are false because a key is missing', async () => {
  await using server = createServer({
    listen: { a: { port: 0, format: 'json', dataflow: [{ filter: 'msg.temp > 30', else: [{ reply: 'no' }] }] } },
  })
  await server.start()
  await using peer = await Peer.connect(server.address('a')!.port)
  await peer.send('{"temp":20}\n{}\n').finish().end()
  expect(peer.text).toBe('no\nno\n')
  expect(server.endpoints[0]!.counters.missingValues).toBe(1)
})
