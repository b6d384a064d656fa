import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { SluiceError } from '../../src/index.ts'
import { Gate, registryWith } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { start } from '../support/server.ts'

const counting = { every: '1h', per: 'msg.id', values: { n: 'count', sum: { sum: 'msg.v' } } } as const

async function send(port: number, lines: string): Promise<string> {
  await using peer = await Peer.connect(port)
  return await peer.send(lines).finish().end()
}

describe('window and group', () => {
  it('settle each message at once, and send on what they hold when the server stops, before sinks are closed', async () => {
    const gate = new Gate()
    gate.open()
    const dataflow = [{ reply: 'OK' }, { window: counting }, { map: 'merge(msg, {"event": event})' }, { gate: {} }]
    await using running = await start(
      { listen: { sums: { port: 0, format: 'json', dataflow: dataflow as never } } },
      { registry: registryWith('gate', gate.write) },
    )
    const lines = '{"id":"a","v":1}\n{"id":"b","v":2}\n{"id":"a","v":3}\n'
    expect(await send(running.port(), lines)).toBe('OK\nOK\nOK\n')
    expect(gate.values).toEqual([])
    await running.server.stop()
    const times = { from: expect.any(Date), to: expect.any(Date), event: 'timer' }
    expect(gate.values).toEqual([
      { key: 'a', n: 2, sum: 4, ...times },
      { key: 'b', n: 1, sum: 2, ...times },
    ])
  })

  it('end with their time, also when nothing more comes', async () => {
    const gate = new Gate()
    gate.open()
    const dataflow = [{ group: { every: '30ms' } }, { gate: {} }]
    await using running = await start(
      { listen: { lines: { port: 0, dataflow: dataflow as never } } },
      { registry: registryWith('gate', gate.write) },
    )
    await send(running.port(), 'a\nb\n')
    await gate.entered()
    expect(gate.values).toEqual([['a', 'b']])
  })

  it('stay as they are when a reload leaves the step as it is, and go on through what is new behind it', async () => {
    const config = (note: string) => {
      const columns = { n: 'size(msg)', note: `"${note}"` }
      const dataflow = [{ group: 4 }, { sqlite: { file: 'g.db', table: 'g', columns } }]
      return { listen: { lines: { port: 0, dataflow } } }
    }
    await using running = await start(config('old'))
    await send(running.port(), 'a\nb\nc\n')
    await running.server.reload(config('new'))
    await send(running.port(), 'd\ne\n')
    await running.server.stop()
    using db = new DatabaseSync(join(running.folder, 'g.db'))
    expect(db.prepare('SELECT n, note FROM g').all()).toEqual([
      { n: 4, note: 'new' },
      { n: 1, note: 'new' },
    ])
  })

  it('go on first when a reload replaces them', async () => {
    const dataflow = [{ group: 10 }, { sqlite: { file: 'g.db', table: 'g', columns: { n: 'size(msg)' } } }]
    await using running = await start({ listen: { lines: { port: 0, dataflow } } })
    await send(running.port(), 'a\nb\nc\n')
    await running.server.reload({ listen: { lines: { port: 0, dataflow: [{ reply: 'new' }] } } })
    expect(await send(running.port(), 'd\n')).toBe('new\n')
    await running.server.stop()
    using db = new DatabaseSync(join(running.folder, 'g.db'))
    expect(db.prepare('SELECT n FROM g').all()).toEqual([{ n: 3 }])
  })

  it('one after the other: a window of groups', async () => {
    const gate = new Gate()
    gate.open()
    const dataflow = [{ group: 2 }, { window: { count: 100, values: { n: { sum: 'size(msg)' } } } }, { gate: {} }]
    await using running = await start(
      { listen: { lines: { port: 0, dataflow: dataflow as never } } },
      { registry: registryWith('gate', gate.write) },
    )
    await send(running.port(), 'a\nb\nc\n')
    await running.server.stop()
    expect(gate.values).toMatchObject([{ n: 3 }])
  })

  it('what fails behind is a dead letter with its value, and is retried there', async () => {
    const gate = new Gate()
    gate.open()
    let refuses = true
    const write: Gate['write'] = (batch) => {
      if (refuses) throw new SluiceError('sink_failed', 'no')
      return gate.write(batch)
    }
    const dataflow = [{ group: 2 }, { gate: {} }]
    await using running = await start(
      { listen: { lines: { port: 0, dataflow: dataflow as never } } },
      { registry: registryWith('gate', write) },
    )
    await send(running.port(), 'a\nb\n')
    const { id, message, error } = await running.event('deadLetter.stored')
    expect([message.msg, message.event, error.code]).toEqual([['a', 'b'], 'timer', 'sink_failed'])
    refuses = false
    expect(await running.server.retryDeadLetters([id])).toMatchObject({ done: [id] })
    expect(gate.values).toEqual([['a', 'b']])
  })

  it.each(['reply', 'expect', 'ack', 'close'])(
    'refuse a %s behind them, and those inside other steps',
    async (name) => {
      const step = name === 'reply' ? { reply: 'x' } : name === 'ack' ? { ack: 'mllp' } : { [name]: {} }
      const config = (dataflow: unknown) => ({ listen: { lines: { port: 0, dataflow: dataflow as never } } })
      await expect(start(config([{ window: { count: 2 } }, step]))).rejects.toThrow(/comes from none/)
      await expect(
        start(config([{ window: { count: 2 } }, { route: [{ if: 'true', dataflow: [step] }] }])),
      ).rejects.toThrow(/comes from none/)
      await expect(start(config([{ fork: { branches: { a: [{ window: { count: 2 } }] } } }]))).rejects.toThrow(
        /move window to the dataflow of the endpoint/,
      )
    },
  )
})
