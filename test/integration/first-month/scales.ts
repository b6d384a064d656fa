import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { exampleFile, rows, startExample } from '../../support/example.ts'
import { freePort } from '../../support/free-port.ts'
import { startPlainServer } from '../../support/plain-server.ts'
import { temporaryFolder } from '../../support/server.ts'
import type { Configuration } from './configuration.ts'

const COUNT = 40
/** Number of the scale that is switched off, and of the one that hears and does not answer. */
const OFF = 13
const SILENT = 27

export const scales: Configuration = {
  title: `${COUNT} polled scales from a CSV file`,
  file: exampleFile('many-scales'),
  async hold() {
    using folder = temporaryFolder()
    await using devices = new AsyncDisposableStack()
    const asked: (() => Promise<void>)[] = []
    const table = ['id,host,port,line']
    for (let n = 1; n <= COUNT; n++) {
      let port = await freePort()
      if (n !== OFF) {
        const weights = [`US,+   1.00 kg\r`, `ST,+ ${n}.25 kg\r`]
        const scale = devices.use(await startPlainServer(() => (n === SILENT ? undefined : weights.shift())))
        port = scale.at.port
        // A poll is sent only after the answer to the one before has arrived.
        if (n !== SILENT) asked.push(() => scale.until(({ lines }) => lines.length > 2))
      }
      table.push(`scale-${n},127.0.0.1,${port},${n % 2 === 0 ? 'packing' : 'goods in'}`)
    }
    const file = join(folder.path, 'scales.csv')
    writeFileSync(file, `${table.join('\n')}\n`)
    await using running = await startExample('many-scales', ({ connect }) => {
      Object.assign(connect!['scales']!, { hosts: file, poll: { every: '100ms', send: 'R', timeout: '500ms' } })
    })
    await Promise.all(asked.map((all) => all()))
    await running.event('poll.timedOut', ({ client }) => client.id === `scale-${SILENT}`)
    await running.event('dial.failed', ({ client }) => client === `scale-${OFF}`)
    await running.server.stop()
    const stored = rows(running, 'weights.db', 'SELECT scale, line, weight FROM weights')
    const expected = Array.from({ length: COUNT }, (_, i) => i + 1).filter((n) => n !== OFF && n !== SILENT)
    expect(stored.toSorted((a, b) => Number(a['weight']) - Number(b['weight']))).toEqual(
      expected.map((n) => ({ scale: `scale-${n}`, line: n % 2 === 0 ? 'packing' : 'goods in', weight: n + 0.25 })),
    )
  },
}
