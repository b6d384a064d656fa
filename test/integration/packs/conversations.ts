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
    await using running = await startExample('astm-analyser')
    await using analyser = await Peer.connect(running.port())
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
