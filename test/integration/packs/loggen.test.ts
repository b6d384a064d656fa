import { describe, expect, it } from 'vitest'
import { hasClient } from '../../../scripts/debian-clients.ts'
import { run } from '../../support/command.ts'
import { rows, startExample } from '../../support/example.ts'
import { eventually } from '../../support/parts.ts'

/** The load generator of syslog-ng: so many messages, as fast as it can. */
describe.skipIf(!hasClient('loggen'))('loggen', () => {
  it.each([
    ['RFC 5424, each message with its length in front', ['--syslog-proto']],
    ['RFC 5424 in lines', ['--syslog-proto', '--no-framing']],
    ['RFC 3164 in lines', []],
  ])('sends %s, and each message is a row', async (_, style) => {
    const count = 500
    await using running = await startExample('syslog')
    const how = ['--inet', '--stream', '--quiet', '--rate', '100000', '--size', '250', '--number', String(count)]
    const { code } = await run('loggen', [...how, ...style, '127.0.0.1', String(running.port())])
    expect(code).toBe(0)
    await eventually(() => running.server.endpoints[0]!.counters.messagesIn === count)
    await running.server.stop()
    const sequences =
      'SELECT DISTINCT host, app, facility, severity, substr(message, 1, 15) AS seq FROM log ORDER BY seq'
    expect(rows(running, 'log.db', sequences)).toEqual(
      Array.from({ length: count }, (_, i) => ({
        host: 'localhost',
        app: 'prg00000',
        facility: 'auth',
        severity: 'info',
        seq: `seq: ${String(i).padStart(10, '0')}`,
      })),
    )
    expect(running.all('deadLetter.stored')).toEqual([])
  })
})
