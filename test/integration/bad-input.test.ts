import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readDeadLetters } from '../../src/delivery/dead-letter-files.ts'
import type { StoredDeadLetter } from '../../src/delivery/dead-letter-rows.ts'
import { type Config, createServer, SluiceError } from '../../src/index.ts'
import { eventually, registryWith } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { type Running, start } from '../support/server.ts'

/** Oldest first. */
function stored(running: Running): StoredDeadLetter[] {
  return readDeadLetters(join(running.folder, 'sluice-data', 'dead-letters.db')).reverse()
}

/** Bad bytes from one client while a neighbour is served: what became of them. */
async function offend(config: Config, act: (peer: Peer) => unknown, options = {}) {
  const running = await start(config, options)
  const neighbour = await Peer.connect(running.port())
  await neighbour.send('1\n').hear('OK 1\n')
  const peer = await Peer.connect(running.port())
  await act(peer)
  await running.event('deadLetter.stored')
  await neighbour.send('2\n').hear('OK 1\nOK 2\n')
  return {
    running,
    peer,
    counters: running.server.endpoints[0]!.counters,
    async [Symbol.asyncDispose]() {
      await neighbour[Symbol.asyncDispose]()
      await peer[Symbol.asyncDispose]()
      await running[Symbol.asyncDispose]()
    },
  }
}

const numbers = { port: 0, format: 'json', dataflow: [{ reply: 'OK ${msg}' }] } as const

describe('a frame that cannot be read', () => {
  it('among good ones of the same read costs nothing but itself', async () => {
    await using all = await offend({ listen: { numbers } }, (peer) => peer.send('7\nnot json\n8\n').hear('OK 8\n'))
    expect(all.peer.text).toBe('OK 7\nOK 8\n')
    expect(all.counters.rejected).toEqual(new Map([['format_invalid', 1]]))
    expect(all.counters.deadLetters).toEqual(new Map([['format_invalid', 1]]))
    expect(all.counters.messagesIn).toBe(4)
    const [rejected, ...more] = all.running.all('frame.rejected')
    expect(more).toEqual([])
    expect(rejected).toMatchObject({ error: { code: 'format_invalid' } })
    expect(all.running.all('message.failed')).toEqual([])
    const [letter] = stored(all.running)
    expect(letter).toMatchObject({ endpoint: 'numbers', step: '', code: 'format_invalid' })
    expect(letter!.raw.toString()).toBe('not json')
  })

  it.each([
    ['invalid UTF-8', Buffer.from([0x31, 0xff, 0xfe, 0x0a]), 'format_invalid'],
    ['bytes of zero', Buffer.from([0, 0, 0, 0x0a]), 'format_invalid'],
  ])('%s is refused with its reason and kept as it was', async (_, bytes, code) => {
    await using all = await offend({ listen: { numbers } }, (peer) => peer.send(bytes))
    expect(all.counters.rejected).toEqual(new Map([[code, 1]]))
    expect(stored(all.running).map(({ raw }) => raw)).toEqual([bytes.subarray(0, -1)])
    await all.peer.send('5\n').hear('OK 5\n')
  })

  it('of text refuses invalid UTF-8 too', async () => {
    await using all = await offend({ listen: { texts: { port: 0, dataflow: [{ reply: 'OK ${msg}' }] } } }, (peer) =>
      peer.send(Buffer.from([0x61, 0xc3, 0x28, 0x0a])),
    )
    expect(stored(all.running)[0]).toMatchObject({ code: 'format_invalid', raw: Buffer.from([0x61, 0xc3, 0x28]) })
  })

  it('that is too long is kept up to the limit and closes its connection', async () => {
    await using all = await offend({ listen: { numbers: { ...numbers, limits: { maxFrameLength: 64 } } } }, (peer) =>
      peer.send(`9\n${'a'.repeat(500)}`),
    )
    // What was good before it has been answered.
    expect(await all.peer.end()).toBe('OK 9\n')
    const { reason, detail } = await all.running.event('connection.closed')
    expect(reason).toBe('frame_error')
    expect(detail).toBe('a frame is longer than 64 bytes')
    expect(stored(all.running)[0]).toMatchObject({ code: 'frame_too_long', raw: Buffer.alloc(64, 'a') })
    expect(all.counters.closed).toEqual(new Map([['frame_error', 1]]))
  })

  it('that declares a huge length is refused before anything is allocated', async () => {
    const framing = { 'length-prefix': { bytes: 4 } } as const
    const before = process.memoryUsage().arrayBuffers
    await using running = await start({ listen: { big: { port: 0, framing, dataflow: [{ reply: 'x' }] } } })
    await using peer = await Peer.connect(running.port())
    expect(await peer.send(Buffer.from([0x7f, 0xff, 0xff, 0xff, 1, 2])).end()).toBe('')
    expect((await running.event('connection.closed')).reason).toBe('frame_error')
    expect((await running.event('deadLetter.stored')).error.code).toBe('frame_too_long')
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024)
  })

  it.each([
    ['half-closes', (peer: Peer) => peer.finish(), 'client_closed'],
    ['resets', (peer: Peer) => peer.socket.resetAndDestroy(), 'client_reset'],
  ])('because its client %s in the middle of it is a dead letter', async (_, leave, reason) => {
    await using all = await offend({ listen: { numbers } }, async (peer) => {
      await peer.send('3\n{"half":').hear('OK 3\n')
      leave(peer)
    })
    expect((await all.running.event('connection.closed')).reason).toBe(reason)
    expect(stored(all.running)[0]).toMatchObject({ code: 'frame_truncated', raw: Buffer.from('{"half":') })
    expect(all.counters.rejected).toEqual(new Map([['frame_truncated', 1]]))
  })

  it('never harms, whatever the bytes', async () => {
    await using running = await start({
      listen: {
        lines: { ...numbers, limits: { maxFrameLength: 1024 } },
        mllp: { ...numbers, framing: 'mllp', limits: { maxFrameLength: 1024 } },
        prefix: { ...numbers, framing: { 'length-prefix': { bytes: 2 } }, limits: { maxFrameLength: 1024 } },
      },
    })
    for (const name of ['lines', 'mllp', 'prefix']) {
      for (let i = 0; i < 10; i++) {
        await using peer = await Peer.connect(running.port(name))
        const bytes = Buffer.from(Array.from({ length: 3000 }, (__, n) => (n * 7919 * (i + 1) + i * 31) % 256))
        await peer.send(bytes).finish().end()
      }
    }
    await eventually(() => running.all('connection.closed').length === 30)
    await using peer = await Peer.connect(running.port('lines'))
    await peer.send('1\n').hear('OK 1\n')
    for (const { counters } of running.server.endpoints) expect(counters.queuedBytes).toBe(0)
  })
})

describe('a message that fails', () => {
  it('in a step that throws is kept with the step and the error, and the next ones go on', async () => {
    const bad = (msg: number) => {
      if (msg === 13) throw new Error('unlucky')
      return msg
    }
    const dataflow = [bad, { reply: 'OK ${msg}' }] as never
    await using all = await offend({ listen: { numbers: { ...numbers, dataflow } } }, (peer) =>
      peer.send('12\n13\n14\n').hear('OK 14\n'),
    )
    expect(all.peer.text).toBe('OK 12\nOK 14\n')
    expect(all.counters.failed).toEqual(new Map([['step_failed', 1]]))
    expect(all.running.all('message.failed')).toMatchObject([
      { step: 'listen.numbers.dataflow[0]', outcome: 'dead letter', error: { message: 'unlucky' } },
    ])
    expect(stored(all.running)).toMatchObject([
      { code: 'step_failed', reason: 'unlucky', step: 'listen.numbers.dataflow[0]', raw: Buffer.from('13') },
    ])
  })

  it('in a sink is kept with its code, and the others of the batch are delivered', async () => {
    const registry = registryWith('picky', ({ messages }) =>
      messages.map(({ msg }) => (msg === 13 ? new SluiceError('sink_failed', 'not this one') : undefined)),
    )
    const dataflow = [{ picky: {}, id: 'picky' }, { reply: 'OK ${msg}' }] as never
    await using all = await offend(
      { listen: { numbers: { ...numbers, dataflow } } },
      (peer) => peer.send('12\n13\n14\n').hear('OK 14\n'),
      { registry },
    )
    expect(all.peer.text).toBe('OK 12\nOK 14\n')
    expect(stored(all.running)).toMatchObject([{ code: 'sink_failed', step: 'picky', raw: Buffer.from('13') }])
  })

  it('takes the onError of its step, else that of the endpoint, once', async () => {
    const double = 'msg.n * 2'
    const dataflow = [
      { map: double, if: 'msg.own == true', onError: [{ reply: 'own ${error.code} ${error.step}' }], id: 'own' },
      { map: double, id: 'other' },
      { reply: '${msg}' },
    ] as const
    const onError = [{ reply: 'endpoint ${error.code} ${error.step} ${error.retryable}' }]
    await using running = await start({ listen: { json: { port: 0, format: 'json', dataflow, onError } } })
    await using peer = await Peer.connect(running.port())
    expect(await peer.send('{"own":true}\n{}\n{"n":4}\n').finish().end()).toBe(
      'own expression_failed own\nendpoint expression_failed other false\n8\n',
    )
    const { counters } = running.server.endpoints[0]!
    expect(counters.failed).toEqual(new Map([['expression_failed', 2]]))
    expect(running.all('message.failed').map(({ outcome }) => outcome)).toEqual(['handled', 'handled'])
    expect(running.all('deadLetter.stored')).toEqual([])
  })

  it('in an onError goes to the dead letters, whoever’s onError it was', async () => {
    const dataflow = [{ map: 'msg.n * 2', if: 'msg.own == true', onError: [{ map: 'msg.x + 1', id: 'inner' }] }]
    const onError = [{ map: 'msg.y - 1', id: 'outer' }]
    const steps = [...dataflow, { map: 'msg.n * 3' }]
    await using running = await start({ listen: { json: { port: 0, format: 'json', dataflow: steps, onError } } })
    await using peer = await Peer.connect(running.port())
    await peer.send('{"own":true}\n{}\n').finish().end()
    await running.event('connection.closed')
    expect(stored(running).map(({ step, raw }) => [step, raw.toString()])).toEqual([
      ['inner', '{"own":true}'],
      ['outer', '{}'],
    ])
  })

  it('is kept by a deadLetter step in onError, with the first error', async () => {
    const onError = [{ reply: 'ERR' }, { deadLetter: {} }]
    await using running = await start({
      listen: { numbers: { ...numbers, dataflow: [{ map: 'msg.x * 2' }], onError } },
    })
    await using peer = await Peer.connect(running.port())
    expect(await peer.send('{}\n').finish().end()).toBe('ERR\n')
    expect(stored(running)).toMatchObject([{ code: 'expression_failed', step: 'listen.numbers.dataflow[0]' }])
  })

  it('before it was a message reaches onError with msg == null and its raw bytes', async () => {
    const onError = [{ reply: '${msg == null} ${text(raw)} ${error.code} ${error.step == ""}' }]
    await using running = await start({ listen: { numbers: { ...numbers, onError } } })
    await using peer = await Peer.connect(running.port())
    expect(await peer.send('5\noops\n6\n').finish().end()).toBe('OK 5\ntrue oops format_invalid true\nOK 6\n')
    expect(running.all('frame.rejected')).toHaveLength(1)
    expect(running.all('message.failed')).toEqual([])
    expect(running.all('deadLetter.stored')).toEqual([])
  })

  it('and cannot be kept is told in an event, and the connection goes on', async () => {
    await using running = await start({ listen: { numbers } })
    // At the start the folder could still have been made.
    writeFileSync(join(running.folder, 'sluice-data'), '')
    await using peer = await Peer.connect(running.port())
    await peer.send('oops\n7\n').hear('OK 7\n')
    const { message, error, cause } = await running.event('deadLetter.lost')
    expect(message.raw.toString()).toBe('oops')
    expect([error.code, cause.code]).toEqual(['format_invalid', 'storage_failed'])
  })

  it('could never be kept: the server does not start, and says where', async () => {
    const server = createServer({ data: { dir: '/dev/null/no-folder' }, listen: { numbers } })
    await expect(server.start()).rejects.toMatchObject({
      code: 'storage_failed',
      message: 'data.dir /dev/null/no-folder cannot be written: /dev/null is no folder',
    })
    expect(server.address('numbers')).toBeUndefined()
  })
})
