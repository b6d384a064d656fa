import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { type Config, SluiceError } from '../../src/index.ts'
import { Gate, registryWith } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { type Running, start } from '../support/server.ts'

type Endpoint = NonNullable<Config['listen']>[string]

async function converse(endpoint: Partial<Endpoint>, lines: string, rest: object = {}, options = {}): Promise<string> {
  await using running = await start({ listen: { one: { port: 0, ...endpoint } }, ...rest }, options)
  await using peer = await Peer.connect(running.port())
  return await peer.send(lines).finish().end()
}

describe('route', () => {
  it('takes the first case that fits, keeps the order, and passes on what no case takes', async () => {
    const route = [
      { if: 'msg < 10', dataflow: [{ map: 'msg + 100' }] },
      { if: 'msg < 20', dataflow: [{ map: 'msg + 200' }] },
    ]
    const text = await converse({ format: 'json', dataflow: [{ route }, { reply: '${msg}' }] }, '15\n30\n5\n12\n')
    expect(text).toBe('215\n30\n105\n212\n')
  })

  it('with else leaves nothing to pass', async () => {
    const route = [{ if: 'msg == 1', dataflow: [] }, { else: [{ reply: 'else ${msg}' }, { map: '0' }] }]
    const text = await converse({ format: 'json', dataflow: [{ route }, { reply: '${msg}' }] }, '1\n2\n')
    expect(text).toBe('1\nelse 2\n0\n')
  })
})

describe('fork', () => {
  it('gives each branch the same message, ends with them, and the original goes on', async () => {
    const fork = { branches: { a: [{ map: 'msg + 1' }, { reply: 'a${msg}' }], b: [{ reply: 'b${msg}' }] } }
    const text = await converse({ format: 'json', dataflow: [{ fork }, { reply: 'end ${msg}' }] }, '1\n')
    expect(text).toBe('a2\nb1\nend 1\n')
  })

  it('waits for those in finishedWhen and for no other', async () => {
    const gate = new Gate()
    const registry = registryWith('gate', gate.write)
    const fork = { branches: { slow: [{ gate: {} }], quick: [{ reply: 'quick' }] }, finishedWhen: ['quick'] }
    const dataflow = [{ fork }, { reply: 'done' }] as never
    await using running = await start({ listen: { one: { port: 0, dataflow } } }, { registry })
    await using peer = await Peer.connect(running.port())
    await peer.send('x\n').hear('quick\ndone\n')
    expect(gate.values).toEqual(['x'])
    gate.open()
  })

  it('lets a branch that it does not wait for close the connection, also when the run has ended', async () => {
    const gate = new Gate()
    const registry = registryWith('gate', gate.write)
    const fork = { branches: { late: [{ gate: {} }, { close: {} }] }, finishedWhen: [] }
    const dataflow = [{ fork }, { reply: 'done' }] as never
    await using running = await start({ listen: { one: { port: 0, dataflow } } }, { registry })
    await using peer = await Peer.connect(running.port())
    await peer.send('x\n').hear('done\n')
    gate.open()
    expect(await peer.end()).toBe('done\n')
  })

  it('fails once for a message, however many branches fail', async () => {
    const fork = { branches: { a: [{ map: 'msg.x + 1' }], b: [{ map: 'msg.y + 1' }], c: [{ reply: 'c' }] } }
    const onError = [{ reply: 'ERR' }]
    await using running = await start({
      listen: { one: { port: 0, format: 'json', dataflow: [{ fork }, { reply: 'never' }], onError } },
    })
    await using peer = await Peer.connect(running.port())
    expect(await peer.send('{}\n').finish().end()).toBe('c\nERR\n')
    expect(running.all('message.failed')).toHaveLength(1)
  })
})

describe('each', () => {
  const json = { format: 'json' } as const

  it('takes items through steps, answers in their order, and then the message goes on', async () => {
    const list = 'msg.items.map(item, merge(item, {"order": msg.id}))'
    const each = { list, dataflow: [{ filter: 'msg.n > 0' }, { reply: '${msg.order}/${msg.n}' }] }
    const lines = '{"id":"A","items":[{"n":1},{"n":0},{"n":2}]}\n{"id":"B","items":[{"n":3}]}\n'
    const text = await converse({ ...json, dataflow: [{ each }, { reply: 'end ${msg.id}' }] }, lines)
    expect(text).toBe('A/1\nA/2\nend A\nB/3\nend B\n')
  })

  it('fails the message with the first item that fails, unless a step inside takes it', async () => {
    const inner = { map: 'msg * 2' }
    const lines = '[1,"x","y"]\n[2]\n'
    const onError = [{ reply: 'ERR ${msg}' }]
    const failing = { each: { list: 'msg', dataflow: [inner] } }
    expect(await converse({ ...json, dataflow: [failing, { reply: 'OK' }], onError }, lines)).toBe(
      'ERR [1,"x","y"]\nOK\n',
    )
    const handled = { each: { list: 'msg', dataflow: [{ ...inner, onError: [{ reply: 'no ${msg}' }] }] } }
    expect(await converse({ ...json, dataflow: [handled, { reply: 'OK' }], onError }, lines)).toBe(
      'no x\nno y\nOK\nOK\n',
    )
  })

  it('takes items one by one where a step writes what later ones read', async () => {
    const sum = { set: { 'state.sum': 'default(state.sum, 0) + msg' } }
    const each = { list: 'msg', dataflow: [sum, { map: 'state.sum' }], collect: 'sums' }
    const text = await converse({ ...json, dataflow: [{ each }, { reply: '${msg.sums}' }] }, '[1,2,3]\n[4]\n')
    expect(text).toBe('[1,3,6]\n[10]\n')
  })
})

describe('dataflow by name', () => {
  it('runs in place, and what comes out goes on', async () => {
    const dataflows = { twice: [{ map: 'msg * 2' }], both: [{ dataflow: 'twice' }, { dataflow: 'twice' }] }
    const text = await converse({ format: 'json', dataflow: [{ dataflow: 'both' }, { reply: '${msg}' }] }, '3\n', {
      dataflows,
    })
    expect(text).toBe('12\n')
    expect(
      await converse({ format: 'json', dataflow: 'answer' }, '3\n', { dataflows: { answer: [{ reply: 'A' }] } }),
    ).toBe('A\n')
  })
})

describe('set and state', () => {
  it('take one message through all steps before the next, also when it waits', async () => {
    const wait = async (msg: string) => {
      await new Promise(setImmediate)
      return msg
    }
    const dataflow = [{ set: { 'state.last': 'msg' } }, wait, { reply: '${msg} ${state.last}' }] as never
    expect(await converse({ dataflow }, 'a\nb\nc\n')).toBe('a a\nb b\nc c\n')
  })

  it('belong to one connection', async () => {
    const dataflow = [{ set: { 'state.n': 'default(state.n, 0) + 1' } }, { reply: '${state.n}' }]
    await using running = await start({ listen: { one: { port: 0, dataflow } } })
    await using first = await Peer.connect(running.port())
    await first.send('x\nx\n').hear('2\n')
    await using second = await Peer.connect(running.port())
    expect(await second.send('x\n').finish().end()).toBe('1\n')
  })
})

describe('what stands beside a step', () => {
  it('else takes what filter drops, within the lane', async () => {
    const gate = new Gate()
    const registry = registryWith('gate', gate.write)
    const dataflow = [{ filter: 'msg > 3', else: [{ gate: {} }, { reply: 'low ${msg}' }] }, { reply: 'high ${msg}' }]
    await using running = await start(
      { listen: { one: { port: 0, format: 'json', dataflow: dataflow as never } } },
      { registry },
    )
    await using peer = await Peer.connect(running.port())
    peer.send('1\n')
    await gate.entered()
    peer.send('9\n')
    gate.open()
    expect(await peer.finish().end()).toBe('low 1\nhigh 9\n')
    expect(running.server.endpoints[0]!.counters.dropped).toBe(1)
  })

  it('if lets others pass by, in their order', async () => {
    const dataflow = [{ map: 'msg * 10', if: 'msg > 2' }, { reply: '${msg}' }]
    expect(await converse({ format: 'json', dataflow }, '1\n3\n2\n4\n')).toBe('1\n30\n2\n40\n')
  })

  it('timeout fails the message with step_timeout', async () => {
    const registry = registryWith('never', () => new Promise<void>(() => undefined))
    const dataflow = [
      { never: {}, timeout: '30ms', onError: [{ reply: 'ERR ${error.code}' }] },
      { reply: 'OK' },
    ] as never
    expect(await converse({ dataflow }, 'x\n', {}, { registry })).toBe('ERR step_timeout\n')
  })

  it('timeout tells the sink that nobody waits any more, so that it does not deliver what has failed', async () => {
    let over: AbortSignal | undefined
    const registry = registryWith('held', (_batch, signal) => {
      over = signal
      return new Promise(() => {})
    })
    const dataflow = [{ held: {}, timeout: '50ms', onError: [{ reply: 'ERR ${error.code}' }] }] as never
    expect(await converse({ dataflow }, 'x\n', {}, { registry })).toBe('ERR step_timeout\n')
    expect(over!.aborted).toBe(true)
  })

  it('timeout tells when the sink has delivered all the same, of how many messages', async () => {
    const gate = new Gate()
    const registry = registryWith('gate', gate.write)
    const dataflow = [{ gate: {}, id: 'store', timeout: '30ms', onError: [{ reply: 'ERR ${msg}' }] }] as never
    await using running = await start({ listen: { one: { port: 0, dataflow } } }, { registry })
    await using peer = await Peer.connect(running.port())
    await peer.send('a\nb\n').hear('ERR a\nERR b\n')
    expect(running.all('sink.deliveredLate')).toEqual([])
    gate.open()
    expect(await running.event('sink.deliveredLate')).toEqual({ step: 'store', messages: 2 })
  })

  it('timeout around steps keeps those from delivering that come to their turn later', async () => {
    const gate = new Gate()
    const registry = registryWith('gate', gate.write)
    const slow = { else: [{ gate: {} }, { file: 'late.txt' }, { log: 'got through' }] }
    const dataflow = [{ route: [slow], timeout: '30ms', onError: [{ reply: 'ERR ${msg}' }] }] as never
    await using running = await start({ listen: { one: { port: 0, dataflow } } }, { registry })
    await using peer = await Peer.connect(running.port())
    await peer.send('a\n').hear('ERR a\n')
    gate.open()
    await running.event('sink.deliveredLate')
    await running.server.stop()
    expect(readFileSync(join(running.folder, 'late.txt'), 'utf8')).toBe('')
    expect(running.all('part.logged')).toEqual([])
  })

  it('retry tries a sink again whose error may pass, and gives up with sink_unavailable', async () => {
    let attempts = 0
    const registry = registryWith('moody', ({ messages }) => {
      attempts++
      if (attempts < 3 || messages[0]!.msg === 'never') {
        throw new SluiceError('sink_unavailable', 'come back later', { retryable: true })
      }
    })
    const dataflow = [{ moody: {}, retry: { for: '1m', max: 2 } }, { reply: 'OK ${msg}' }] as never
    await using running = await start(
      { listen: { one: { port: 0, dataflow, onError: [{ reply: 'ERR ${error.code}' }] } } },
      { registry },
    )
    await using peer = await Peer.connect(running.port())
    await peer.send('x\n').hear('OK x\n')
    expect(attempts).toBe(3)
    expect(running.all('sink.retried').map(({ attempt }) => attempt)).toEqual([1, 2])
    await peer.send('never\n').hear('ERR sink_unavailable\n')
  })
})

describe('sqlite', () => {
  it('commits for many connections together, and each message keeps its own outcome', async () => {
    const sqlite = { file: 'rows.db', table: 'rows', columns: { value: 'msg' } }
    const onError = [{ reply: 'ERR ${msg}' }]
    await using running = await start({
      listen: { one: { port: 0, dataflow: [{ sqlite, onError }, { reply: 'OK ${msg}' }] } },
    })
    forbid(running, 'bad')
    const answers = await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        await using peer = await Peer.connect(running.port())
        return await peer.send(`a${i}\nbad\nb${i}\n`).finish().end()
      }),
    )
    expect(answers).toEqual(Array.from({ length: 50 }, (_, i) => `OK a${i}\nERR bad\nOK b${i}\n`))
    using database = new DatabaseSync(join(running.folder, 'rows.db'), { readOnly: true })
    expect(database.prepare('SELECT count(*) AS n FROM rows').get()).toEqual({ n: 100 })
  })
})

/** Lets the table refuse one value. */
function forbid({ folder }: Running, value: string): void {
  using database = new DatabaseSync(join(folder, 'rows.db'))
  database.exec(
    `CREATE TRIGGER no BEFORE INSERT ON rows WHEN NEW.value = '${value}' BEGIN SELECT RAISE(ABORT, 'no'); END`,
  )
}
