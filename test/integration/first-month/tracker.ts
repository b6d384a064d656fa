import { expect } from 'vitest'
import { deadLetters, exampleFile, refuseInserts, rows, startExample } from '../../support/example.ts'
import { Peer } from '../../support/peer.ts'
import type { Configuration } from './configuration.ts'

/** Two records of Codec 8, an example of the manufacturer. */
const PACKET = Buffer.from(
  '000000000000004308020000016b40d57b480100000000000000000000000000000001010101000000000000016b40d5c198010000000000000000000000000000000101010101000000020000252c',
  'hex',
)

export const tracker: Configuration = {
  title: 'a GPS tracker with its login in another framing, answered with a binary count',
  file: exampleFile('teltonika-tracker'),
  async hold() {
    await using running = await startExample('teltonika-tracker')
    await using peer = await Peer.connect(running.port())
    await peer.send('\x00\x0f356307042441013').hear('\x01')
    peer.send(PACKET.subarray(0, 35)).send(PACKET.subarray(35))
    await peer.until(({ text }) => text === '\x01\0\0\0\x02')
    const positions = 'SELECT imei, time, priority FROM positions'
    const stored = [
      { imei: '356307042441013', time: '2019-06-10T10:01:01.000Z', priority: 'high' },
      { imei: '356307042441013', time: '2019-06-10T10:01:19.000Z', priority: 'high' },
    ]
    expect(rows(running, 'positions.db', positions)).toEqual(stored)
    // Its answer was lost: it comes again on another connection, where it is answered and not stored again.
    await using again = await Peer.connect(running.port())
    await again.send('\x00\x0f356307042441013').hear('\x01')
    await again.send(PACKET).until(({ text }) => text === '\x01\0\0\0\x02')
    expect(rows(running, 'positions.db', positions)).toEqual(stored)

    refuseInserts(running, 'positions.db', 'positions')
    await using other = await Peer.connect(running.port())
    await other.send('\x00\x0f111111111111111').hear('\x01')
    expect(await other.send(PACKET).finish().end()).toBe('\x01')
    expect(await deadLetters(running)).toMatchObject([{ code: 'sink_failed', raw: PACKET }])
  },
}
