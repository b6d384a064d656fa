import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { startFile, withText } from '../../support/example.ts'
import { HttpServer } from '../../support/http-server.ts'
import { eventually } from '../../support/parts.ts'
import { Peer } from '../../support/peer.ts'
import type { Configuration } from './configuration.ts'

const file = join(import.meta.dirname, 'syslog-twice.yaml')

export const syslogTwice: Configuration = {
  title: 'syslog into two sinks',
  file,
  async hold() {
    await using onCall = await HttpServer.start()
    await onCall.stop()
    await using running = await startFile(file, withText('127.0.0.1:8080', `127.0.0.1:${onCall.port}`))
    await using firewall = await Peer.connect(running.port())
    const down = '<34>1 2026-01-31T12:00:00Z fw1 app 42 - - link down'
    firewall.send(`${down}\n<38>1 2026-01-31T12:00:01Z fw1 app 42 - - link up\n`)
    await using router = await Peer.connect(running.port())
    router.send(`${down.length} ${down}9 no syslog`)
    await eventually(() => running.server.buffers[0]!.messages === 2)
    await running.event('frame.rejected')
    await onCall.begin()
    await eventually(() => running.server.buffers[0]!.delivered === 2)
    await running.server.stop()

    const incident = { time: '2026-01-31T12:00:00Z', host: 'fw1', severity: 2, text: 'link down' }
    expect(onCall.bodies.map((body) => JSON.parse(body))).toEqual([incident, incident])
    const [log, ...more] = readdirSync(join(running.folder, 'logs'))
    expect([log, ...more]).toEqual([expect.stringMatching(/^\d{4}-\d\d-\d\d\.log$/)])
    const lines = readFileSync(join(running.folder, 'logs', log!), 'utf8')
      .trimEnd()
      .split('\n')
    expect(lines.map((line) => JSON.parse(line).text).toSorted()).toEqual(['link down', 'link down', 'link up'])
    expect(readFileSync(join(running.folder, 'unreadable.log'), 'utf8')).toBe('no syslog\n')
  },
}
