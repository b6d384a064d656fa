import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect } from 'vitest'
import { deadLetters, exampleFile, refuseInserts, rows, startExample } from '../../support/example.ts'
import { Peer } from '../../support/peer.ts'
import type { Configuration } from './configuration.ts'

const ACK = '\x06'
const NAK = '\x15'

/** The sink is really stuck: another program holds the database locked. */
export const scanner: Configuration = {
  title: 'a scanner that gets ACK after the row, and NAK after 2 s',
  file: exampleFile('barcode-scanner'),
  async hold() {
    await using running = await startExample('barcode-scanner')
    await using peer = await Peer.connect(running.port())
    const codes = () => rows(running, 'scans.db', 'SELECT code FROM scans').map(({ code }) => code)
    await peer.send('4006381333931\r').until(({ text }) => text === ACK)
    expect(codes()).toEqual(['4006381333931'])
    await peer.send('no code\r').until(({ text }) => text === ACK + NAK)

    const browser = new DatabaseSync(join(running.folder, 'scans.db'))
    browser.exec('BEGIN IMMEDIATE')
    const since = performance.now()
    await peer.send('22222222\r23232323\r').until(({ text }) => text === ACK + NAK + NAK + NAK)
    expect(performance.now() - since).toBeGreaterThan(1900)
    browser.exec('COMMIT')
    browser.close()
    // What the storage thread had in hand comes before this row.
    await peer.send('33333333\r').until(({ text }) => text === ACK + NAK + NAK + NAK + ACK)
    expect(codes()).toEqual(['4006381333931', '33333333'])

    refuseInserts(running, 'scans.db', 'scans')
    await peer.send('44444444\r').until(({ text }) => text === ACK + NAK + NAK + NAK + ACK + NAK)
    expect(codes()).toHaveLength(2)
    expect(running.all('sink.deliveredLate')).toEqual([])
    expect(await deadLetters(running)).toMatchObject([
      { endpoint: 'scanners', code: 'step_timeout', raw: Buffer.from('22222222') },
      { endpoint: 'scanners', code: 'step_timeout', raw: Buffer.from('23232323') },
      { endpoint: 'scanners', code: 'sink_failed', raw: Buffer.from('44444444') },
    ])
  },
}
