import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { hasClient } from '../../../scripts/debian-clients.ts'
import { Command, run } from '../../support/command.ts'
import { startExample } from '../../support/example.ts'
import { freePort } from '../../support/free-port.ts'
import { eventually } from '../../support/parts.ts'
import { temporaryFolder } from '../../support/server.ts'

test.skipIf(!hasClient('rsyslogd') || !hasClient('logger'))(
  'rsyslog hands on what it gets, counted, with a line end inside a message',
  async () => {
    using folder = temporaryFolder()
    await using running = await startExample('syslog')
    const port = await freePort()
    const config = join(folder.path, 'rsyslog.conf')
    writeFileSync(
      config,
      [
        `global(workDirectory="${folder.path}" parser.escapeControlCharactersOnReceive="off")`,
        'module(load="imtcp")',
        `input(type="imtcp" address="127.0.0.1" port="${port}")`,
        `if $programname == "pump" then action(type="omfwd" target="127.0.0.1" port="${running.port()}" protocol="tcp" TCP_Framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format")`,
        '',
      ].join('\n'),
    )
    await using _rsyslog = new Command('rsyslogd', ['-n', '-f', config, '-i', join(folder.path, 'pid')])
    const to = ['-T', '-n', '127.0.0.1', '-P', String(port), '--octet-count', '-p', 'daemon.warning', '-t', 'pump']
    // Until rsyslog listens, logger cannot connect.
    while ((await run('logger', [...to, 'first\nsecond'])).code !== 0);
    await eventually(() => running.server.endpoints[0]!.counters.messagesIn > 0)
    await running.server.stop()
    const database = new DatabaseSync(join(running.folder, 'log.db'), { readOnly: true })
    const rows = database.prepare('SELECT app, severity, facility, message FROM log').all()
    database.close()
    expect({ ...rows[0] }).toEqual({ app: 'pump', severity: 'warning', facility: 'daemon', message: 'first\nsecond' })
  },
)
