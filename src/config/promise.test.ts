import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { defineSink, defineStep } from '../contracts/define.ts'
import { bytesTemplate, secret, z } from '../contracts/schema.ts'
import { createRegistry } from '../registry/builtins.ts'
import { configOfValue } from './loaded.ts'
import { planConfig } from './plan.ts'
import { describePlan } from './promise.ts'
import { readYaml } from './yaml-source.ts'

const registry = createRegistry()
  .add(
    defineSink({
      name: 'pager',
      summary: 'Calls somebody.',
      options: z.strictObject({ to: z.string(), token: secret(), urgent: z.boolean().default(false) }),
      examples: [],
      confirms: ({ urgent }) => (urgent ? 'accepted' : 'os'),
      finished: 'the pager rings',
      create: () => ({ write() {}, close() {} }),
    }),
  )
  .add(
    defineStep({
      name: 'shout',
      summary: 'Answers loudly.',
      options: z.strictObject({ words: bytesTemplate() }),
      short: 'words',
      examples: [],
      answers: true,
      promise: 'shouts',
      create: () => ({ run: (message) => message }),
    }),
  )

function describeValue(value: unknown): string[] {
  const { plan, problems } = planConfig(configOfValue(value, tmpdir()), registry, {})
  if (plan === undefined) throw new Error(JSON.stringify(problems))
  return describePlan(plan)
}

/** The lines that are about the dataflow, without those that every endpoint has. */
function describeSteps(dataflow: unknown, others: Record<string, unknown> = {}): string[] {
  const lines = describeValue({ listen: { a: { port: 9100, dataflow, ...others } } })
  const common = /^(dead letters| {2}(framing|messages of|on failure: nothing|a message that is sent again))/
  return lines
    .slice(1)
    .filter((line) => !common.test(line))
    .map((line) => line.slice(2))
}

const folder = mkdtempSync(join(tmpdir(), 'sluice-promise-'))
for (const name of ['a.ts', 'b.ts']) writeFileSync(join(folder, name), 'export default (msg: unknown) => msg')
afterAll(() => rmSync(folder, { recursive: true }))

describe('steps that hold messages', () => {
  it('say how, and what a crash loses', () => {
    expect(
      describeSteps([
        { throttle: { max: 5, per: 'client.ip', whenFull: 'drop' } },
        { throttle: 2 },
        { delay: { until: 'msg' } },
        { ack: 'mllp' },
        { window: { every: '1m', per: 'msg' } },
      ]),
    ).toEqual([
      'lets 5 messages pass in 1s for each client.ip, 5 at once; others are dropped',
      'what throttle drops ends there without an answer',
      'lets 2 messages pass in 1s, 2 at once; others wait, and their connections with them',
      'holds each message back until msg, at most 1h',
      'acknowledges with a block with ACK (what failed: NAK); nothing is stored before that',
      'makes one message of those of 1m, for each msg; they are held in memory and count as delivered: a crash loses them',
    ])
  })
})

describe('a buffer', () => {
  it('moves the promise to where the message is kept, and says the rest of the way', () => {
    const pager = { pager: { to: 'ann', token: 'x', buffer: 'disk' }, id: 'page' }
    expect(describeSteps([pager, { reply: 'OK' }])).toEqual([
      'keeps it for pager ann: finished when it is on the disk, durable (committed or fsynced: it survives a power cut); when 10GiB wait, senders are held back; then delivers in order, done when the pager rings, os; tries again for as long as it takes; after a crash, what was under way is delivered once more',
      'answers "OK" after it is on the disk (buffer of pager ann)',
    ])
  })

  it('on disk says how often it is tried, where the configuration bounds that', () => {
    const pager = { pager: { to: 'ann', token: 'x', buffer: 'disk' }, id: 'page', retry: { max: 3 } }
    const [line] = describeSteps([pager])
    expect(line).not.toContain('for as long as it takes')
  })

  it('in memory says what a crash does', () => {
    const buffer = { memory: { maxSize: '1MiB', whenFull: 'drop' } }
    const [line] = describeSteps([{ pager: { to: 'ann', token: 'x', urgent: true, buffer } }])
    expect(line).toBe(
      'keeps it for pager ann: finished when it is queued in memory, memory (it waits in memory: a crash loses it); when 1MiB wait, messages are lost and counted; then delivers in order, done when the pager rings, accepted; tries again for 10s',
    )
  })
})

describe('describePlan', () => {
  it('says everything of the first example', () => {
    const yaml = `
listen:
  scales:
    port: 9100
    framing: line
    format: json
    dataflow:
      - filter: msg.temp > 30
        else: [ reply: "SKIP \${msg.device}" ]
      - map:
          device: msg.device
          f: msg.temp * 9 / 5 + 32
      - sqlite: { file: readings.db, table: readings }
      - reply: "OK \${msg.device}"
`
    const { plan } = planConfig(readYaml(yaml, 'sluice.yaml', tmpdir()), registry, {})
    expect(describePlan(plan!)).toEqual([
      'scales: listens on port 9100 of all addresses',
      '  framing line, format json',
      '  what filter (msg.temp > 30) drops, and ends there:',
      '    answers "SKIP ${msg.device}"',
      '  delivers to sqlite readings.db readings: finished when the row is committed, durable (committed or fsynced: it survives a power cut); tries again for 10s',
      '  answers "OK ${msg.device}" after the row is committed (sqlite readings.db readings, durable)',
      '  on failure: nothing more is sent for the message, and it goes to the dead letters; so do unreadable frames',
      '  messages of a connection are worked on in the order received, one run at a time, and answered in that order',
      '  a message that is sent again is a new message',
      `dead letters are kept in ${join(tmpdir(), 'sluice-data')}`,
    ])
  })

  it('warns of an answer before the sink', () => {
    expect(describeSteps([{ reply: 'GOT IT' }, { pager: { to: 'me', token: 'abcd1234' } }])[0]).toBe(
      'answers "GOT IT", before pager me has it: this acknowledges receipt only, and a crash after it loses the message',
    )
  })

  it('names every sink that stands before an answer, and the one behind it', () => {
    const [, , answer] = describeSteps([
      { file: 'a.txt' },
      { pager: { to: 'me', token: 'abcd1234', urgent: true }, if: 'msg == "x"' },
      { shout: 'DONE\r\n\u0006' },
      { stdout: {} },
    ])
    expect(answer).toBe(
      'shouts "DONE\\r\\n\\x06" after the bytes are in the file (file a.txt, os), and the pager rings (pager me, accepted, if msg == "x"), ' +
        'before stdout has it: this acknowledges receipt only, and a crash after it loses the message',
    )
  })

  it('tells what a confirmation is worth with these options', () => {
    const token = 'abcd1234'
    expect(describeSteps([{ pager: { to: 'me', token } }])[0]).toMatch(/finished when the pager rings, os \(/)
    expect(describeSteps([{ pager: { to: 'me', token, urgent: true } }])[0]).toMatch(/the pager rings, accepted \(/)
  })

  it('never shows a secret', () => {
    const lines = describeSteps([{ pager: { to: 'abcd1234', token: 'abcd1234' } }, { reply: 'abcd1234' }])
    expect(lines.join('\n')).not.toContain('abcd1234')
  })

  it('says that an answer stores nothing where no sink is', () => {
    expect(describeSteps([{ reply: '${msg}' }])[0]).toBe('answers "${msg}"; nothing is stored before that')
  })

  it('takes a greeting for no acknowledgement', () => {
    const steps = [{ reply: 'HELLO', if: 'event == "connect"' }, { file: 'a.txt' }]
    expect(describeSteps(steps)[0]).toBe('if event == "connect": answers "HELLO"')
  })

  it('says when nothing is sent back', () => {
    expect(describeSteps([{ file: 'a.txt' }])).toContain('sends nothing back')
    expect(describeSteps([{ reply: 'x' }])).not.toContain('sends nothing back')
    expect(describeSteps([{ file: 'a.txt' }], { onError: [{ reply: 'ERR' }] })).not.toContain('sends nothing back')
    expect(describeSteps([{ close: {} }])).toContain('sends nothing back')
  })

  it('says what is dropped and what that means', () => {
    expect(describeSteps([{ filter: 'msg == "x"' }])[0]).toBe(
      'what filter (msg == "x") drops ends there without an answer',
    )
  })

  it('goes into branches, and counts what they deliver only where it is certain', () => {
    const lines = describeSteps([
      { route: [{ if: 'msg == "a"', dataflow: [{ file: 'a.txt' }, { reply: 'A' }] }, { else: [{ reply: 'B' }] }] },
      { fork: { branches: { left: [{ file: 'l.txt' }], right: [{ log: 'x' }] } } },
      { reply: 'END' },
    ])
    expect(lines.map((line) => line.replace(/: finished.*/, ''))).toEqual([
      'in route, if msg == "a":',
      '  delivers to file a.txt',
      '  answers "A" after the bytes are in the file (file a.txt, os), before file l.txt has it: this acknowledges receipt only, and a crash after it loses the message',
      'in route, else:',
      '  answers "B", before file l.txt has it: this acknowledges receipt only, and a crash after it loses the message',
      'in fork, left:',
      '  delivers to file l.txt',
      'in fork, right: log',
      'answers "END" after route has finished, and fork has finished',
    ])
  })

  it('takes steps that always run in place as if they stood there', () => {
    const lines = describeValue({
      listen: { a: { port: 1, dataflow: [{ dataflow: 'store' }, { reply: 'OK' }] } },
      dataflows: { store: [{ file: 'a.txt' }] },
    })
    expect(lines).toContain('  answers "OK" after the bytes are in the file (file a.txt, os)')
  })

  it('says what an onError does, and whether it keeps the message', () => {
    const lines = describeSteps([{ file: 'a.txt', onError: [{ reply: 'NAK' }, { deadLetter: 'disk' }] }], {
      onError: [{ log: 'bad' }],
    })
    expect(lines.slice(1)).toEqual([
      'if file fails:',
      '  answers "NAK"',
      '  keeps the message in the dead letters "disk"',
      'on failure where no step says otherwise, unreadable frames included:',
      '  no answer is sent',
      '  the message is not kept: add a step that keeps it, such as deadLetter',
    ])
  })

  it('tells of coming and going', () => {
    const lines = describeSteps([{ log: 'x' }], {
      onConnect: [{ reply: 'HELLO' }],
      onDisconnect: [{ log: 'gone' }],
      runOnConnect: true,
    })
    expect(lines).toEqual([
      'when a client connects, before its first message:',
      '  answers "HELLO"',
      'the dataflow also runs once when a client connects, with event == "connect"',
      'when a client is gone: log',
    ])
  })

  it('says where it listens, and where it connects to', () => {
    const dataflow = [{ log: 'x' }]
    const lines = describeValue({
      listen: {
        a: { port: 9100, host: ['127.0.0.1', '::1'], dataflow, framing: { in: 'line', out: 'raw' } },
        b: { socket: '/run/b.sock', dataflow },
        c: { port: 0, dataflow },
      },
      connect: { d: { host: '10.0.0.7', port: 2112, dataflow, poll: { every: '2s', send: 'R' } } },
      admin: 8081,
    })
    expect(lines.filter((line) => !line.startsWith(' '))).toEqual([
      'a: listens on 127.0.0.1:9100 and [::1]:9100',
      'b: listens on /run/b.sock',
      'c: listens on a free port of all addresses',
      'd: connects to 10.0.0.7:2112, again when the connection is lost, asks every 2s',
      'each of them:',
      `dead letters are kept in ${join(tmpdir(), 'sluice-data')}`,
      'health and metrics are served on 127.0.0.1:8081',
    ])
    expect(lines[1]).toBe('  framing line (out: raw), format text')
    expect(lines.filter((line) => line === '  a message that is sent again is a new message')).toHaveLength(1)
  })

  it('shows the options of framings and formats', () => {
    const shown = (framing: unknown) => describeValue({ listen: { a: { port: 1, framing, dataflow: [] } } })[1]
    expect(shown({ delimiter: '\\r' })).toBe('  framing delimiter "\\r", format text')
    expect(shown({ delimiter: ['\\x03', '|'] })).toBe('  framing delimiter "\\x03" or "|", format text')
    expect(shown({ 'length-prefix': 2 })).toBe('  framing length-prefix 2 bytes, big endian, format text')
    expect(shown({ 'start-end': { start: 'STX', end: '\\x03' } })).toBe(
      '  framing start-end "STX" … "\\x03", format text',
    )
    expect(shown({ in: { fixed: { length: 8 } }, out: { line: 'crlf' } })).toContain('fixed 8 (out: line crlf)')
  })

  it('warns of code that runs unprotected', () => {
    const functions = [(msg: unknown) => msg, { map: (msg: unknown) => msg, id: 'mine' }, { map: 'msg' }]
    expect(
      describeSteps([
        ...functions,
        { script: { file: join(folder, 'a.ts'), inline: true } },
        { script: join(folder, 'b.ts') },
      ]),
    ).toContain(
      "warning: your own code runs unprotected on the server's thread, where a slow call delays everybody: " +
        'listen.a.dataflow[0], mine, listen.a.dataflow[3]',
    )
    expect(describeSteps([{ map: 'msg' }]).join()).not.toContain('warning')
  })
})

describe('a message that is sent again', () => {
  const endpoint = { port: 9100, dataflow: [{ reply: 'OK' }] }

  it('is a new message without a key', () => {
    expect(describeValue({ listen: { a: endpoint } })).toContain('  a message that is sent again is a new message')
  })

  it('has the same key with one, and each endpoint says which', () => {
    const lines = describeValue({ listen: { a: { ...endpoint, key: 'raw' }, b: { ...endpoint, port: 9101 } } })
    expect(lines.filter((line) => line.includes('sent again'))).toEqual([
      '  a message that is sent again has the same key (raw)',
      '  a message that is sent again is a new message',
    ])
  })

  it('that is answered before a sink is answered behind it all the same where dedupe holds the answers back', () => {
    const dataflow = [
      { reply: 'GOT' },
      { dedupe: {}, id: 'once' },
      { reply: 'OK' },
      { sqlite: { file: 'a.db', table: 't' } },
    ]
    const lines = describeValue({ listen: { in: { port: 9100, key: 'msg', dataflow } } }).map((text) => text.trim())
    expect(lines.filter((line) => line.startsWith('answers '))).toEqual([
      'answers "GOT", before sqlite a.db t has it: this acknowledges receipt only, and a crash after it loses the message',
      'answers "OK", which dedupe holds back until the steps behind it have finished, sqlite a.db t too; without a key, before sqlite a.db t has it: this acknowledges receipt only, and a crash after it loses the message',
    ])
  })

  it('ends at dedupe, which says for how long', () => {
    const dataflow = [{ dedupe: { window: '7d', maxKeys: 500 }, id: 'once' }, { reply: 'OK' }]
    const lines = describeValue({ listen: { a: { port: 9100, key: 'msg', dataflow } } })
    expect(lines).toContain(
      '  lets each key through once: a message with a key that has finished within 7d (of the last 500) ends here with ' +
        'the answers of the first; answers leave when the key is on disk; what has failed is tried again',
    )
    expect(lines.filter((line) => line.includes('dedupe drops'))).toEqual([])
  })
})
