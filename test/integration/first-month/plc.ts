import { once } from 'node:events'
import { ServerTCP } from 'modbus-serial'
import { expect } from 'vitest'
import { exampleFile, rows, startExample } from '../../support/example.ts'
import { freePort } from '../../support/free-port.ts'
import { Peer } from '../../support/peer.ts'
import type { Configuration } from './configuration.ts'

export const plc: Configuration = {
  title: 'a command to a PLC that is polled, with the answer that belongs to it',
  file: exampleFile('modbus-client'),
  async hold() {
    const registers = [-25 + 65536, 1, 1, 7]
    const written: number[][] = []
    let asked = () => {}
    const port = await freePort()
    const device = new ServerTCP(
      {
        getHoldingRegister: (address: number) => {
          if (address === 3) asked()
          return registers[address]!
        },
        setRegister: (address: number, value: number) => {
          written.push([address, value])
        },
      },
      { host: '127.0.0.1', port, unitID: 1 },
    )
    await once(device, 'initialized')
    try {
      await using running = await startExample('modbus-client', (config) => {
        const entry = config.connect!['plc']!
        entry.port = port
        entry.poll = { ...(entry.poll as { send: string }), every: '20ms', timeout: '10s' }
      })
      // A poll is sent only after the answer to the one before has arrived.
      for (let polls = 0; polls < 2; polls++) await new Promise<void>((resolve) => (asked = resolve))
      await using operator = await Peer.connect(running.port('commands'))
      await operator.send('set 21.5\n').hear('OK\n')
      expect(written).toEqual([[10, 215]])
      await operator.send('set warm\n').hear('ERR ')
      await running.server.stop()
      expect(rows(running, 'plc.db', 'SELECT temperature, state, pieces FROM readings LIMIT 1')).toEqual([
        { temperature: -2.5, state: 'running', pieces: 65543 },
      ])
    } finally {
      await new Promise<void>((closed) => device.close(() => closed()))
    }
  },
}
