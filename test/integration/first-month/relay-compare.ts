import { expect } from 'vitest'
import { exampleFile, rows, startExample } from '../../support/example.ts'
import { Peer } from '../../support/peer.ts'
import { startPlainServer } from '../../support/plain-server.ts'
import type { Configuration } from './configuration.ts'

export const relayCompare: Configuration = {
  title: 'a relay that compares the answers of an old server and a new one',
  file: exampleFile('relay-compare'),
  async hold() {
    await using old = await startPlainServer((line) => `OK ${line}`)
    await using next = await startPlainServer((line) => `OK ${line}`.toUpperCase())
    await using running = await startExample('relay-compare', ({ listen }) => {
      const { relay } = listen!['front']!
      Object.assign(relay!, { to: `127.0.0.1:${old.at.port}` })
      Object.assign((relay as { mirror: object }).mirror, { to: `127.0.0.1:${next.at.port}` })
    })
    await using device = await Peer.connect(running.port())
    device.send('A1\nb2\n').finish()
    expect(await device.end()).toBe('OK A1\nOK b2\n')
    await running.server.stop()
    expect(rows(running, 'differences.db', 'SELECT device, request, old, new FROM differences')).toEqual([
      { device: '127.0.0.1', request: 'b2', old: 'OK b2', new: 'OK B2' },
    ])
  },
}
