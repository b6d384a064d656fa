import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import modbus from 'modbus-serial'
import { expect } from 'vitest'
import { hasClient } from '../../../scripts/debian-clients.ts'
import { run } from '../../support/command.ts'
import { makeDatabases, rows, startExample, withText } from '../../support/example.ts'
import { eventually } from '../../support/parts.ts'
import { Peer } from '../../support/peer.ts'
import { temporaryFolder } from '../../support/server.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** One conversation with each example of a protocol, with a program that was not written here where there is one. */
export const deviceConversations: Record<string, () => Promise<void>> = {
  async 'astm-analyser'() {
    using folder = temporaryFolder()
    const database = makeDatabases('astm-analyser', folder.path)
    await using running = await startExample('astm-analyser', withText('orders.db', database))
    await using analyser = await Peer.connect(running.port('analyser'))
    const header = '1H|\\^&|||ABX|||||||P|E1394-97|20050111111502\r\x0347'
    const frames = [header, '2R|1|^^^GLU|5.24|mmol/L\r\x03B0', '3L|1|N\r\x0306']
    analyser.send('\x05')
    await analyser.hear('\x06')
    for (const [index, frame] of frames.entries()) {
      analyser.send(`\x02${frame}\r\n`)
      await analyser.until(({ text }) => text === '\x06'.repeat(index + 2))
    }
    const results =
      "SELECT analyser, json_extract(value, '$[3]') AS result FROM messages, json_each(records) WHERE json_extract(value, '$[0]') = 'R'"
    expect(rows(running, 'results.db', results)).toEqual([{ analyser: 'ABX', result: '5.24' }])
  },

  async 'gps-tracker'() {
    await using running = await startExample('gps-tracker')
    const login = '78780d01012345678901234500018cdd0d0a'
    const position = '78781f120b081d112e10cf027ac7eb0c46584900148f01cc00287d001fb8000380810d0a'
    const alarm = '787825160b0b0f0e241dcf027ac8870c4657e60014020901cc00287d001f726506040101003656a40d0a'
    const answers = '787805010001d9dc0d0a787805120003903f0d0a78780516003695700d0a'
    // It connects again because it has lost its answers, and sends everything again.
    for (let times = 0; times < 2; times++) {
      await using tracker = await Peer.connect(running.port())
      // Cut in the middle of the second message.
      tracker.send(Buffer.from(login + position.slice(0, 20), 'hex'))
      tracker.send(Buffer.from(position.slice(20) + alarm, 'hex'))
      await tracker.until(({ received }) => received.toString('hex') === answers)
    }
    expect(rows(running, 'positions.db', 'SELECT imei, time, alarm, lat, lon FROM positions')).toEqual([
      { imei: '0123456789012345', time: '2011-08-29T17:46:16.000Z', alarm: null, lat: 23.111668, lon: 114.409285 },
      { imei: '0123456789012345', time: '2011-11-15T14:36:29.000Z', alarm: 'SOS', lat: 23.111755, lon: 114.40923 },
    ])
  },

  async 'http-answer'() {
    const articles = join(root, 'examples/http-answer/articles.csv')
    await using running = await startExample('http-answer', withText('articles.csv', articles))
    if (!hasClient('curl')) {
      await using peer = await Peer.connect(running.port())
      const answer = await peer.send('GET /articles/4006381333931 HTTP/1.1\r\n\r\n').end()
      expect(answer).toContain('{"ean":"4006381333931","name":"Pen","price":"0.99"}\n')
      return
    }
    const curl = async (path: string, ...args: string[]) => {
      const url = `http://127.0.0.1:${running.port()}${path}`
      const { stdout, code } = await run('curl', ['-s', '-w', '%{http_code}', ...args, url])
      expect(code).toBe(0)
      return stdout
    }
    expect(await curl('/articles/4006381333931')).toBe('{"ean":"4006381333931","name":"Pen","price":"0.99"}\n200')
    expect(await curl('/articles/7?lang=de')).toBe('{"error":"no such article"}\n404')
    expect(await curl('/articles/7', '-I')).toMatch(/^HTTP\/1\.1 404 .*\r\n\r\n404$/s)
    expect(await curl('/articles', '-d', 'x=y')).toBe('{"error":"only GET and HEAD"}\n405')
  },

  async 'modbus-server'() {
    using folder = temporaryFolder()
    const database = makeDatabases('modbus-server', folder.path)
    await using running = await startExample('modbus-server', withText('registers.db', database))
    const master = new modbus.default()
    await master.connectTCP('127.0.0.1', { port: running.port() })
    try {
      master.setID(17)
      expect((await master.readHoldingRegisters(0, 3)).data).toEqual([215, 0, 7])
      expect(await master.writeRegister(1, 3)).toEqual({ address: 1, value: 3 })
      expect(await master.writeRegisters(0, [190, 4])).toEqual({ address: 0, length: 2 })
      expect((await master.readInputRegisters(0, 3)).data).toEqual([190, 4, 7])
      await expect(master.readHoldingRegisters(2, 2)).rejects.toMatchObject({ modbusCode: 2 })
      await expect(master.writeRegister(9, 1)).rejects.toMatchObject({ modbusCode: 2 })
      await expect(master.readCoils(0, 1)).rejects.toMatchObject({ modbusCode: 1 })
      const change = new DatabaseSync(database)
      change.exec("CREATE TRIGGER refuse BEFORE INSERT ON registers BEGIN SELECT RAISE(ABORT, 'no'); END")
      change.close()
      await expect(master.writeRegister(1, 8)).rejects.toMatchObject({ modbusCode: 4 })
      expect((await master.readHoldingRegisters(1, 1)).data).toEqual([4])
    } finally {
      await new Promise<void>((closed) => master.close(() => closed()))
    }
  },

  async 'nmea-receiver'() {
    await using running = await startExample('nmea-receiver')
    await using receiver = await Peer.connect(running.port())
    const position = '$GPRMC,081836,A,3751.65,S,14507.36,E,000.0,360.0,130998,011.3,E*62\r\n'
    receiver.send(position + position.replace('*62', '*63')).finish()
    await receiver.end()
    expect(rows(running, 'positions.db', 'SELECT time, lat, lon FROM positions')).toEqual([
      { time: '1998-09-13T08:18:36Z', lat: -37.860833333, lon: 145.122666667 },
    ])
    expect(running.all('deadLetter.stored')).toHaveLength(1)
  },

  async 'redis-commands'() {
    using folder = temporaryFolder()
    const database = makeDatabases('redis-commands', folder.path)
    await using running = await startExample('redis-commands', withText('values.db', database))
    if (!hasClient('redis-cli')) {
      await using peer = await Peer.connect(running.port())
      peer.send('*1\r\n$4\r\nPING\r\n')
      await peer.hear('+PONG\r\n')
      return
    }
    const cli = async (...args: string[]) =>
      (await run('redis-cli', ['-p', String(running.port()), ...args])).stdout.trimEnd()
    expect(await cli('PING')).toBe('PONG')
    expect(await cli('GET', 'temp')).toBe('')
    expect(await cli('SET', 'temp', '21,5 °C')).toBe('OK')
    expect(await cli('SET', 'temp', '')).toBe('OK')
    expect(await cli('SET', 'temp', '22,0 °C')).toBe('OK')
    expect(await cli('GET', 'temp')).toBe('22,0 °C')
    expect(await cli('DEL', 'temp')).toBe('ERR DEL with 1 words is not known here')
    expect(await cli('SET', 'temp', 'a\r\nb')).toBe('ERR Protocol error')
  },

  async 'sia-alarm'() {
    await using running = await startExample('sia-alarm')
    await using panel = await Peer.connect(running.port())
    const event = '\n87CD0037"ADM-CID"9876R579BDFL789ABC#12345A[#12345A|1110 00 129]\r'
    panel.send(event)
    await panel.hear('"ACK"9876R579BDFL789ABC#12345A[]\r')
    panel.send(event)
    await panel.until(({ text }) => text.split('"ACK"').length === 3)
    panel.send(event.replace('129]', '130]'))
    await panel.until(({ text }) => /\n[0-9A-F]{4}0025"NAK"0000R0L0A0\[]_\d\d:\d\d:\d\d,\d\d-\d\d-\d{4}\r$/.test(text))
    panel.send('\n76D80055"*NULL"0000R0L0#AAAB[B4BC8B40D0E6D959D6BEA78E88CC0B2155741A3C44FBB96D476A3E557CAD64D9\r')
    await panel.hear('"DUH"0000R0L0#AAAB[]\r')
    expect(rows(running, 'alarms.db', 'SELECT account, event FROM events')).toEqual([
      { account: '12345A', event: '1110 00 129' },
    ])
  },

  async syslog() {
    await using running = await startExample('syslog')
    await using sender = await Peer.connect(running.port())
    sender.send("<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8\n")
    const styles = hasClient('logger') ? [['--rfc5424'], ['--rfc3164'], ['--rfc5424', '--octet-count']] : []
    for (const style of styles) {
      const to = ['-T', '-n', '127.0.0.1', '-P', String(running.port())]
      const sent = await run('logger', [...style, ...to, '-p', 'local0.err', '-t', 'press', 'oil is low'])
      expect(sent).toEqual({ stdout: '', stderr: '', code: 0 })
    }
    await eventually(() => running.server.endpoints[0]!.counters.messagesIn === 1 + styles.length)
    await running.server.stop()
    expect(rows(running, 'log.db', 'SELECT app, severity, message FROM log ORDER BY app DESC')).toEqual([
      { app: 'su', severity: 'crit', message: "'su root' failed for lonvick on /dev/pts/8" },
      ...styles.map(() => ({ app: 'press', severity: 'err', message: 'oil is low' })),
    ])
  },
}
