import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { expect } from 'vitest'
import { deadLetters, startFile, withText } from '../../support/example.ts'
import { HttpServer } from '../../support/http-server.ts'
import { eventually } from '../../support/parts.ts'
import { Peer } from '../../support/peer.ts'
import type { Configuration } from './configuration.ts'

const HEARTBEAT = '1011           @    \x14'
const file = join(import.meta.dirname, 'panel.yaml')

export const panel: Configuration = {
  title: 'an alarm panel whose heartbeat never waits for a slow sink',
  file,
  async hold() {
    await using controlRoom = await HttpServer.start()
    const open: ServerResponse[] = []
    controlRoom.answer = (response) => void open.push(response)
    await using running = await startFile(file, withText('127.0.0.1:8080', `127.0.0.1:${controlRoom.port}`))
    await using receiver = await Peer.connect(running.port())
    const events = ['E13001003', 'R13001003', 'E60200000'].map((event) => `5011 181234${event}\x14`)
    // All in one read, then one after the other: each time there are events in front that the control room has not taken.
    await receiver.send(events.join('') + HEARTBEAT).until(({ text }) => text === '\x06'.repeat(4))
    await receiver.send(HEARTBEAT).until(({ text }) => text === '\x06'.repeat(5))
    await controlRoom.received(1)
    await receiver.send(`5011 181234E40101001\x14${HEARTBEAT}`).until(({ text }) => text === '\x06'.repeat(7))
    expect(running.server.buffers).toMatchObject([{ step: 'control-room', messages: 4, delivered: 0 }])

    controlRoom.answer = (response) => void response.end()
    for (const response of open) response.end()
    await eventually(() => running.server.buffers[0]!.delivered === 4)
    const told = controlRoom.bodies.map((body) => JSON.parse(body))
    expect(told.map(({ event }) => event)).toEqual(['E130', 'R130', 'E602', 'E401'])
    expect(told[0]).toEqual({ receiver: '01', line: '1', account: '1234', event: 'E130', group: '01', zone: '003' })

    await receiver
      .send('?\x14')
      .send(HEARTBEAT)
      .until(({ text }) => text === '\x06'.repeat(8))
    expect(await deadLetters(running)).toMatchObject([{ raw: Buffer.from('?') }])
  },
}
