import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import modbus from 'modbus-serial'
import { describe, expect, it } from 'vitest'
import { readDeadLetters } from '../../src/delivery/dead-letter-files.ts'
import { connect, defineFraming, type Framing, NEED_MORE, z } from '../../src/index.ts'
import { eventually, Gate, registryWith } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { type Running, start } from '../support/server.ts'

const deadLetters = (running: Running) => readDeadLetters(join(running.folder, 'sluice-data', 'dead-letters.db'))
const sha = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

/** CRC-16/MODBUS, low byte first ("MODBUS over Serial Line", section 6.2.2). */
function crc(bytes: Buffer): Buffer {
  let value = 0xffff
  for (const byte of bytes) {
    value ^= byte
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >> 1) ^ 0xa001 : value >> 1
  }
  return Buffer.from([value & 255, value >> 8])
}

/** @param ends gets what a silence has ended */
function linesOrSilence(ends: string[]): Framing {
  return {
    createDecoder: () => ({
      silence: 20,
      next(bytes, from, _to, found) {
        const at = bytes.indexOf(10, from)
        if (at === -1) return NEED_MORE
        found.start = from
        found.end = at
        return at + 1
      },
      end(bytes, from, to, found) {
        if (from === to) return NEED_MORE
        ends.push(bytes.toString('latin1', from, to))
        found.start = from
        found.end = to
        return to
      },
    }),
    encode: (payload, out) => out.write(payload),
  }
}

describe('gap', () => {
  it('serves a Modbus master that speaks RTU over TCP', async () => {
    const answer = (request: Buffer) => {
      const body = Buffer.from([request[0]!, request[1]!, 2, 0x12, request[3]!])
      return Buffer.concat([body, crc(body)])
    }
    const entry = { port: 0, framing: { gap: '20ms' }, format: 'bytes', dataflow: [{ reply: { value: answer } }] }
    await using running = await start({ listen: { rtu: entry } } as never)
    const master = new modbus.default()
    await master.connectTelnet('127.0.0.1', { port: running.port() })
    master.setID(1)
    expect((await master.readHoldingRegisters(7, 1)).data).toEqual([0x1207])
    expect((await master.readHoldingRegisters(8, 1)).data).toEqual([0x1208])
    await new Promise<void>((resolve) => master.close(() => resolve()))
  })

  it('ends a frame by silence or by the end of the connection', async () => {
    const entry = { port: 0, framing: { gap: '20ms' }, dataflow: [{ reply: '<${msg}>' }] }
    await using running = await start({ listen: { quiet: entry } } as never)
    await using peer = await Peer.connect(running.port())
    await peer.send('one').hear('<one>')
    await peer.send('two').finish().end()
    expect(peer.text).toBe('<one><two>')
  })

  it('does not take the time for silence in which it does not read', async () => {
    const gate = new Gate()
    const ends: string[] = []
    const registry = registryWith('held', gate.write)
    registry.add(
      defineFraming({
        name: 'lines-or-silence',
        summary: 'Ends a frame at LF or after a silence.',
        options: z.strictObject({}),
        examples: [],
        create: () => linesOrSilence(ends),
      }),
    )
    const framing = 'lines-or-silence'
    const slow = { port: 0, framing, limits: { maxQueued: '1KiB' }, dataflow: [{ held: {} }] }
    const quick = { port: 0, framing, dataflow: [{ reply: '${msg}' }] }
    await using running = await start({ listen: { slow, quick } } as never, { registry })
    await using peer = await Peer.connect(running.port('slow'))
    peer.send('first\n')
    await gate.entered()
    peer.send(`${'line\n'.repeat(1000)}tail`)
    const { counters } = running.server.endpoints[0]!
    await eventually(() => counters.readsPaused > 0 && counters.bytesIn === 5010)
    // Its silence begins later than the other one, so that one would have been told before.
    await using other = await Peer.connect(running.port('quick'))
    await other.send('quiet').hear('quiet')
    expect(ends).toEqual(['quiet'])
    gate.open()
    await eventually(() => gate.values.at(-1) === 'tail')
    expect(gate.values).toHaveLength(1002)
    expect(ends).toEqual(['quiet', 'tail'])
  })

  it('works for a connection that was dialled too', async () => {
    await using running = await start({ listen: { echo: { port: 0, dataflow: [{ reply: '${msg}' }] } } } as never)
    await using dialled = await connect<string>({
      host: '127.0.0.1',
      port: running.port(),
      framing: { in: { gap: { silence: '20ms' } }, out: 'line' },
    } as never)
    expect(await dialled.request('one')).toBe('one\n')
    expect(await dialled.request('two')).toBe('two\n')
  })
})

it('modbus-tcp serves a Modbus TCP master', async () => {
  const answer = (request: Buffer) =>
    Buffer.concat([request.subarray(0, 8), Buffer.from([2 * request[11]!]), Buffer.alloc(2 * request[11]!, 0x21)])
  const entry = { port: 0, framing: 'modbus-tcp', format: 'bytes', dataflow: [{ reply: { value: answer } }] }
  await using running = await start({ listen: { plc: entry } } as never)
  const master = new modbus.default()
  await master.connectTCP('127.0.0.1', { port: running.port() })
  master.setID(3)
  expect((await master.readHoldingRegisters(0, 2)).data).toEqual([0x2121, 0x2121])
  await new Promise<void>((resolve) => master.close(() => resolve()))
})

describe('until-close', () => {
  const content = randomBytes(3_000_000)
  const toFile = { file: { path: 'job.bin', framing: 'raw' } }

  it('brings what is larger than its limit to a file whole, in pieces, and answers once', async () => {
    const entry = {
      port: 0,
      framing: { 'until-close': '64KiB' },
      format: 'bytes',
      dataflow: [toFile, { reply: '${sha256(msg)}', if: '!more' }],
    }
    await using running = await start({ listen: { jobs: entry } } as never)
    await using peer = await Peer.connect(running.port())
    await peer.send(content).finish().end()
    const last = content.subarray(Math.floor((content.length - 1) / 65_536) * 65_536)
    expect(peer.text).toBe(sha(last))
    expect(sha(readFileSync(join(running.folder, 'job.bin')))).toBe(sha(content))
    expect(running.server.endpoints[0]!.counters.messagesIn).toBe(Math.ceil(content.length / 65_536))
  })

  it('brings it to another server by the tcp sink, and more outlives a disk buffer', async () => {
    await using target = await start({
      listen: { jobs: { port: 0, framing: 'until-close', format: 'bytes', dataflow: [toFile] } },
    } as never)
    const flags = { file: { path: 'flags.txt', format: 'text', buffer: 'disk' }, id: 'flags' }
    const entry = {
      port: 0,
      framing: { 'until-close': '1MiB' },
      format: 'bytes',
      dataflow: [
        { tcp: { host: '127.0.0.1', port: target.port(), framing: 'raw' } },
        { map: 'more ? "true" : "false"' },
        flags,
      ],
    }
    const running = await start({ listen: { relay: entry } } as never)
    await using peer = await Peer.connect(running.port())
    await peer.send(content).finish().end()
    await eventually(() => readFileSync(join(running.folder, 'flags.txt'), 'utf8') === 'true\ntrue\nfalse\n')
    await running[Symbol.asyncDispose]()
    await target.event('connection.closed')
    expect(sha(readFileSync(join(target.folder, 'job.bin')))).toBe(sha(content))
  })

  it('takes nothing that a broken connection leaves for whole', async () => {
    const entry = { port: 0, framing: 'until-close', dataflow: [{ file: 'all.txt' }] }
    await using running = await start({ listen: { jobs: entry } } as never)
    await using peer = await Peer.connect(running.port())
    peer.send('half a j')
    await eventually(() => running.server.endpoints[0]!.counters.bytesIn === 8)
    peer.socket.resetAndDestroy()
    await running.event('deadLetter.stored')
    expect(deadLetters(running).map(({ code, raw }) => [code, raw.toString()])).toEqual([
      ['frame_truncated', 'half a j'],
    ])
  })
})

describe('whenTooLong', () => {
  const serve = async (whenTooLong: string) => {
    const framing = { line: { maxLength: 4, whenTooLong } }
    const running = await start({ listen: { lines: { port: 0, framing, dataflow: [{ reply: '<${msg}>' }] } } } as never)
    const peer = await Peer.connect(running.port())
    peer.send('abcdef\nok\n')
    await peer.hear(whenTooLong === 'truncate' ? '<abcd>\n<ok>\n' : '<ok>\n')
    await peer.finish().end()
    await running.event('connection.closed')
    const { rejected, failed, deadLetters: buried } = running.server.endpoints[0]!.counters
    const told = running.all('frame.rejected').map(({ message, error }) => [error.code, message.raw.toString()])
    await peer[Symbol.asyncDispose]()
    return { running, told, rejected: Object.fromEntries(rejected), failed: failed.size, buried: buried.size }
  }

  it.each([
    ['skip', 'frame_skipped'],
    ['truncate', 'frame_cut'],
  ])('%s is counted and told, and fails nothing', async (policy, code) => {
    const { running, ...outcome } = await serve(policy)
    await using _ = running
    expect(outcome).toEqual({ told: [[code, 'abcd']], rejected: { [code]: 1 }, failed: 0, buried: 0 })
  })

  it('deadLetter keeps the first bytes, and the connection goes on', async () => {
    const { running, ...outcome } = await serve('deadLetter')
    await using _ = running
    expect(outcome).toMatchObject({ told: [['frame_too_long', 'abcd']], rejected: { frame_too_long: 1 }, buried: 1 })
    expect(deadLetters(running).map(({ raw }) => raw.toString())).toEqual(['abcd'])
  })

  it('a client that is dialled goes on behind what it skips', async () => {
    const dataflow = [{ reply: { raw: 'much too long\nok\n' } }]
    await using running = await start({ listen: { talker: { port: 0, dataflow } } } as never)
    await using dialled = await connect<string>({
      host: '127.0.0.1',
      port: running.port(),
      framing: { line: { maxLength: 4, whenTooLong: 'skip' } },
    } as never)
    await dialled.send('go')
    expect(await dialled.receive()).toBe('ok')
  })
})

it('syslog takes both ways to send from one sender', async () => {
  const entry = { port: 0, framing: { in: 'syslog', out: 'line' }, dataflow: [{ reply: '${msg}' }] }
  await using running = await start({ listen: { logs: entry } } as never)
  await using peer = await Peer.connect(running.port())
  await peer.send('7 <34>one<34>two\n7 <34>thr').hear('<34>one\n<34>two\n<34>thr\n')
})
