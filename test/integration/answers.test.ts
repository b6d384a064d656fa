import { Socket } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, vi } from 'vitest'
import { registryWith } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { start } from '../support/server.ts'

const echo = [{ reply: '${msg}' }]

describe('answers', () => {
  it('reach a client that waits, within 5 ms', async () => {
    await using running = await start({ listen: { echo: { port: 0, dataflow: echo } } })
    await using peer = await Peer.connect(running.port())
    const times: number[] = []
    for (let i = 0; i < 20; i++) {
      const before = performance.now()
      peer.send(`line ${i}\n`)
      await peer.hear(`line ${i}\n`)
      times.push(performance.now() - before)
    }
    // The best of many: what the machine does beside must not fail the test, a timer in the path would.
    expect(Math.min(...times)).toBeLessThan(5)
  })

  it('reach a client that has half-closed', async () => {
    await using running = await start({ listen: { echo: { port: 0, dataflow: echo } } })
    await using peer = await Peer.connect(running.port())
    expect(await peer.send('one\ntwo\n').finish().end()).toBe('one\ntwo\n')
    expect((await running.event('connection.closed')).reason).toBe('client_closed')
  })

  it('are one message for a raw read without an end of line', async () => {
    await using running = await start({
      listen: { raw: { port: 0, framing: 'raw', dataflow: [{ reply: 'Hello from the server!' }] } },
    })
    await using peer = await Peer.connect(running.port())
    await peer.send('Hello from the client!').hear('Hello from the server!')
  })

  it('are written in the framing and the format of out, where those of in differ', async () => {
    await using running = await start({
      listen: {
        both: {
          port: 0,
          framing: { in: 'line', out: { 'length-prefix': { bytes: 2 } } },
          format: { in: 'text', out: 'json' },
          dataflow: [{ reply: { value: 'msg' } }, { reply: 'text ${msg}' }],
        },
      },
    })
    await using peer = await Peer.connect(running.port())
    const expected = '\0\x05"one"\0\x08text one\0\x05"two"\0\x08text two'
    expect(await peer.send('one\ntwo\n').finish().end()).toBe(expected)
  })

  it('of a run that waited leave in one write, when it ends in the turn of the first of them', async () => {
    const dataflow = [async (msg: string) => msg, { reply: '${msg}' }] as never
    await using running = await start({ listen: { a: { port: 0, dataflow } } })
    await using peer = await Peer.connect(running.port())
    const write = vi.spyOn(Socket.prototype, 'write')
    try {
      peer.send('one\ntwo\nthree\n')
      await peer.hear('one\ntwo\nthree\n')
      const written = write.mock.contexts.filter((socket) => (socket as Socket).localPort === running.port())
      expect(written).toHaveLength(1)
    } finally {
      write.mockRestore()
    }
  })

  it('behind sqlite leave only after the commit', async () => {
    await using running = await start({
      listen: {
        scan: {
          port: 0,
          dataflow: [
            { sqlite: { file: 'scans.db', table: 'scans', columns: { code: 'msg' } } },
            { reply: 'OK ${msg}' },
          ],
        },
      },
    })
    await using peer = await Peer.connect(running.port())
    for (let i = 1; i <= 20; i++) {
      peer.send(`code-${i}\n`)
      await peer.hear(`OK code-${i}\n`)
      // Another process, as it were: what it sees is committed.
      const database = new DatabaseSync(join(running.folder, 'scans.db'), { readOnly: true })
      expect(database.prepare('SELECT count(*) AS n FROM scans').get()).toEqual({ n: i })
      database.close()
    }
  })

  it('behind sqlite do not leave at all when the commit fails', async () => {
    await using running = await start({
      listen: {
        scan: {
          port: 0,
          dataflow: [
            { sqlite: { file: 'scans.db', table: 'scans', columns: { code: 'msg' } } },
            { reply: 'OK ${msg}' },
          ],
        },
      },
    })
    const database = new DatabaseSync(join(running.folder, 'scans.db'))
    database.exec(`CREATE TRIGGER no BEFORE INSERT ON scans WHEN NEW.code = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END`)
    database.close()
    await using peer = await Peer.connect(running.port())
    peer.send('good\nbad\nlast\n')
    await peer.hear('OK last\n')
    expect(await peer.finish().end()).toBe('OK good\nOK last\n')
    const { error, message } = await running.event('deadLetter.stored')
    expect(error.code).toBe('sink_failed')
    expect(message.raw.toString()).toBe('bad')
  })

  it('leave in the order of the messages, whichever branch or onError they come from', async () => {
    await using running = await start({
      listen: {
        mixed: {
          port: 0,
          format: 'json',
          onError: [{ reply: 'ERR ${error.code}' }],
          dataflow: [
            {
              route: [
                {
                  if: 'msg.kind == "slow"',
                  dataflow: [
                    async (msg: never) => {
                      await new Promise((resolve) => setTimeout(resolve, 20))
                      return msg
                    },
                    { reply: 'slow ${msg.n}' },
                  ],
                },
                { if: 'msg.kind == "bad"', dataflow: [{ map: 'msg.missing + 1' }] },
              ],
            },
            { filter: 'msg.kind == "fast"', else: [{ reply: 'late ${msg.n}' }] },
            { reply: 'fast ${msg.n}' },
          ],
        },
      },
    })
    await using peer = await Peer.connect(running.port())
    peer.send('{"kind":"slow","n":1}\n{"kind":"fast","n":2}\nnot json\n{"kind":"bad","n":4}\n{"kind":"fast","n":5}\n')
    const text = await peer.finish().end()
    expect(text).toBe('slow 1\nlate 1\nfast 2\nERR format_invalid\nERR expression_failed\nfast 5\n')
  })

  it('before a slow sink leave at once, those behind it when it has confirmed', async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    const registry = registryWith('held', () => released)
    const dataflow = [{ reply: 'received' }, { held: {} }, { reply: 'stored' }] as never
    await using running = await start({ listen: { two: { port: 0, dataflow } } }, { registry })
    await using peer = await Peer.connect(running.port())
    expect(await peer.send('x\n').hear('received\n')).toBe('received\n')
    release()
    await peer.hear('stored\n')
  })

  it('keep the order of each of 100 connections behind a slow sink', async () => {
    const stored = new Map<string, number[]>()
    const registry = registryWith('slow', async (batch) => {
      await new Promise((resolve) => setTimeout(resolve, batch.length % 7))
      for (const { msg, client } of batch.messages) {
        const list = stored.get(client.id) ?? []
        stored.set(client.id, list)
        list.push(Number(msg))
      }
    })
    const dataflow = [{ slow: {} }, { reply: '${msg}' }] as never
    await using running = await start({ listen: { many: { port: 0, dataflow } } }, { registry })
    const numbers = Array.from({ length: 50 }, (_, i) => i)
    const answers = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const peer = await Peer.connect(running.port())
        for (const n of numbers) {
          peer.send(`${n}\n`)
          if (n % 10 === 0) await new Promise(setImmediate)
        }
        return peer.finish().end()
      }),
    )
    const expected = numbers.map((n) => `${n}\n`).join('')
    expect(answers.every((answer) => answer === expected)).toBe(true)
    expect(stored.size).toBe(100)
    for (const list of stored.values()) expect(list).toEqual(numbers)
  })

  it('that come too late for their client are counted, and the message stays delivered', async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    const registry = registryWith('held', () => released)
    const dataflow = [{ held: {} }, { reply: 'stored' }] as never
    await using running = await start({ listen: { two: { port: 0, dataflow } } }, { registry })
    const peer = await Peer.connect(running.port())
    peer.send('x\n')
    await running.event('connection.opened')
    while (running.server.endpoints[0]!.counters.messagesIn === 0) await new Promise(setImmediate)
    peer.socket.resetAndDestroy()
    expect((await running.event('connection.closed')).reason).toBe('client_reset')
    release()
    expect(await running.event('reply.lost')).toMatchObject({ count: 1, late: false })
    expect(running.server.endpoints[0]!.counters.repliesLost).toBe(1)
    expect(running.all('deadLetter.stored')).toEqual([])
  })

  it('of a step that timed out do not leave with the answers of a later message', async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    const slow = { if: 'msg == "slow"', dataflow: [() => released.then(() => 'late'), { reply: 'late answer' }] }
    const dataflow = [{ route: [slow], timeout: '10ms' }, { reply: 'answer to ${msg}' }] as never
    await using running = await start({ listen: { a: { port: 0, onError: [{ reply: '${error.code}' }], dataflow } } })
    await using peer = await Peer.connect(running.port())
    await peer.send('slow\n').hear('step_timeout\n')
    release()
    expect(await running.event('reply.lost')).toMatchObject({ count: 1, late: true })
    expect(await peer.send('next\n').finish().end()).toBe('step_timeout\nanswer to next\n')
  })

  it('to frames that the outgoing framing cannot write fail, one by one', async () => {
    const framing = { in: { 'length-prefix': 1 }, out: 'line' }
    await using running = await start({ listen: { a: { port: 0, framing, dataflow: [{ reply: '${msg}' }] } } })
    await using peer = await Peer.connect(running.port())
    expect(await peer.send('\x02ok\x03a\nb\x03yes').finish().end()).toBe('ok\nyes\n')
    expect((await running.event('deadLetter.stored')).error.code).toBe('frame_not_encodable')
  })
})
