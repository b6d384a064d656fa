import { once } from 'node:events'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { createRegistry, defineFormat, defineStep, SluiceError, z } from '../../src/index.ts'
import { eventually } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { start } from '../support/server.ts'

/** A format of a user that breaks the contract: it throws where it may not. */
function brokenFormat() {
  return createRegistry().add(
    defineFormat({
      name: 'broken',
      summary: 'Throws where no format may.',
      options: z.strictObject({}),
      examples: [],
      rejects: [],
      create: () => ({
        parse: (bytes, from, to) => bytes.toString('utf8', from, to),
        print: String,
        acceptsAll(frames) {
          if (frames.at(0).includes('boom')) throw new Error('a defect')
          return true
        },
      }),
    }),
  )
}

describe('one connection', () => {
  it('whose part breaks its contract is closed as internal, and the others do not notice', async () => {
    const registry = brokenFormat()
    await using running = await start(
      { listen: { a: { port: 0, format: 'broken' as never, dataflow: [{ reply: '${msg}' }] } } },
      { registry },
    )
    await using good = await Peer.connect(running.port())
    await using bad = await Peer.connect(running.port())
    await bad.send('boom\n').end()
    expect(await running.event('connection.closed')).toMatchObject({ reason: 'internal', detail: 'a defect' })
    expect(await good.send('fine\n').hear('fine\n')).toBe('fine\n')
  })

  it('that sends very many tiny frames lets others have their turn', async () => {
    await using running = await start({
      listen: { a: { port: 0, format: 'json', onError: [{ reply: '${error.code}' }], dataflow: [{ reply: 'ok' }] } },
    })
    await using flood = await Peer.connect(running.port())
    await using other = await Peer.connect(running.port())
    await other.send('1\n').hear('ok\n')
    flood.send('\n'.repeat(65_536))
    await eventually(() => running.all('frame.rejected').length > 0)
    // While the flood is being worked on, another client is served.
    await other.send('2\n').hear('ok\nok\n')
    expect(running.all('frame.rejected').length).toBeLessThan(65_536)
    await flood.until(({ text }) => text.length === 65_536 * 'format_invalid\n'.length)
  })

  it('that does not read what it is answered is held, also when each answer leaves on its own', async () => {
    const dataflow = [async (msg: string) => msg, { reply: '${msg}' }] as never
    await using running = await start({ listen: { a: { port: 0, dataflow } } })
    await using peer = await Peer.connect(running.port())
    peer.socket.pause()
    const line = Buffer.from(`${'x'.repeat(256 * 1024)}\n`)
    const [client] = running.server.clients.list()
    for (let i = 0; i < 200; i++) peer.send(line)
    // Once held, nothing more is answered, whatever arrives: the kernel's buffers and one answer are all that left.
    await eventually(() => peer.socket.writableLength > 0 && client!.bytesOut > 0)
    let before = -1
    await eventually(() => {
      const still = client!.bytesOut === before
      before = client!.bytesOut
      return still
    })
    expect(client!.bytesOut).toBeLessThan(100 * line.length)
  })
})

describe('a message', () => {
  it('fails once, when it has failed before the time of its step is over', async () => {
    const { promise: never } = Promise.withResolvers<void>()
    const inner = async (msg: string) => {
      if (msg === 'bad') throw new SluiceError('step_failed', 'bad')
      await never
    }
    const dataflow = [{ dataflow: [inner], timeout: '50ms' }, { reply: 'OK' }] as never
    const onError = [{ reply: '${msg} ${error.code}' }]
    await using running = await start({ listen: { a: { port: 0, onError, dataflow } } })
    await using peer = await Peer.connect(running.port())
    expect(await peer.send('bad\nslow\n').finish().end()).toBe('bad step_failed\nslow step_timeout\n')
  })
})

describe('a stop', () => {
  it('closes everything, also when a part cannot be closed, and is not delayed by a long time to wait', async () => {
    const closed: string[] = []
    const registry = createRegistry()
    for (const name of ['first', 'second', 'third']) {
      registry.add(
        defineStep({
          name,
          summary: 'Closes.',
          options: z.strictObject({}),
          examples: [],
          create: () => ({
            run: (message) => message,
            close() {
              closed.push(name)
              if (name === 'second') throw new Error('cannot close')
            },
          }),
        }),
      )
    }
    const dataflow = [{ first: {} }, { second: {} }, { third: {} }] as never
    const running = await start({ listen: { a: { port: 0, dataflow } } }, { registry })
    const warned = once(process, 'warning')
    await running.server.stop({ deadline: Number.POSITIVE_INFINITY })
    expect(closed).toEqual(['third', 'second', 'first'])
    expect(String((await warned)[0])).toContain('cannot close')
    await running[Symbol.asyncDispose]()
  })
})

it('a database that another program holds locked holds up neither dead letters nor buffers', async () => {
  const kept = [
    { deadLetter: 'not this', if: 'msg == "bad"' },
    { null: { buffer: 'disk' }, id: 'later' },
    { reply: 'kept ${msg}' },
  ]
  await using running = await start({
    listen: {
      stuck: { port: 0, dataflow: [{ sqlite: { file: 'locked.db', table: 't' } }, { reply: 'stored' }] },
      kept: { port: 0, dataflow: kept },
    },
  } as never)
  await using other = await Peer.connect(running.port('kept'))
  await other.send('one\n').hear('kept one\n')
  const browser = new DatabaseSync(join(running.folder, 'locked.db'))
  browser.exec('BEGIN IMMEDIATE')
  await using held = await Peer.connect(running.port('stuck'))
  held.send('x\n')
  await eventually(() =>
    running.server.endpoints.some(({ name, counters }) => name === 'stuck' && counters.messagesIn > 0),
  )
  await other.send('bad\ntwo\n').hear('kept two\n')
  await running.event('deadLetter.stored')
  // The thread that waits for the lock has not come back even once.
  expect(running.all('sink.retried')).toEqual([])
  browser.exec('COMMIT')
  browser.close()
  await held.hear('stored\n')
})
