import { join } from 'node:path'
import { expect } from 'vitest'
import { deadLetters, rows, startFile } from '../../support/example.ts'
import { Peer } from '../../support/peer.ts'
import { startPlainServer } from '../../support/plain-server.ts'
import type { Configuration } from './configuration.ts'

const file = join(import.meta.dirname, 'analyser-server.yaml')

/** A message with two results. */
const sample = (id: number, glucose = '5.24') =>
  `\x0bMSH|^~\\&|AU|LAB|LIS||20260101||ORU^R01|${id}|P|2.5\rOBR|1||S-${id}\r` +
  `OBX|1|NM|GLU^Glucose||${glucose}|mmol/l\rOBX|2|NM|NA^Sodium||140|mmol/l\r\x1c\r`

export const analyserServer: Configuration = {
  title: 'an analyser that is the server',
  file,
  async hold() {
    const connections: Peer[] = []
    const accept = (socket: Peer['socket']) => void connections.push(Peer.over(socket))
    await using analyser = await startPlainServer(undefined, accept)
    await using running = await startFile(file, ({ connect }) => {
      Object.assign(connect!['analyser']!, { ...analyser.at, reconnect: { first: '10ms', max: '10ms' } })
    })
    await analyser.until(({ accepted }) => accepted === 1)
    const first = connections[0]!
    await first.send(sample(1)).hear('MSA|AA|1\r')
    // Switched off before it has seen the answer, and on again.
    first.socket.resetAndDestroy()
    await analyser.until(({ accepted }) => accepted === 2)
    const second = connections[1]!
    await second.send(sample(1)).hear('MSA|AA|1\r')
    await second.send(sample(2)).hear('MSA|AA|2\r')
    await second.send(sample(3, 'none')).hear('MSA|AE|3|')
    await second.send('\x0bhello\x1c\r').hear('MSA|AR||')
    const results = [
      { test: 'GLU', value: 5.24, unit: 'mmol/l' },
      { test: 'NA', value: 140, unit: 'mmol/l' },
    ]
    const stored = rows(running, 'results.db', 'SELECT sample, results FROM samples')
    expect(stored.map((row) => ({ ...row, results: JSON.parse(String(row['results'])) }))).toEqual([
      { sample: 'S-1', results },
      { sample: 'S-2', results },
    ])
    expect((await deadLetters(running)).map(({ code }) => code)).toEqual(['expression_failed', 'format_invalid'])
  },
}
