import { describe, expect, it } from 'vitest'
import { eventually } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { start } from '../support/server.ts'
import { Upstream } from '../support/upstream.ts'

/** A tracker: 4 bytes of login, then lines. */
const tracker = {
  port: 0,
  onConnect: [
    { expect: { framing: { fixed: { length: 4 } }, format: 'text', into: 'login', timeout: '5s' } },
    { set: { 'state.id': 'msg.login' } },
    { reply: { raw: '\\x01' } },
  ],
  dataflow: [{ reply: '${state.id} ${msg}' }],
} as const

describe('expect', () => {
  const stream = 'AB-Done\ntwo\n'
  it.each(Array.from({ length: stream.length }, (_, i) => i))(
    'reads a login in a framing of its own, split behind byte %i',
    async (at) => {
      await using running = await start({ listen: { tracker } })
      await using peer = await Peer.connect(running.port())
      if (at > 0) {
        peer.send(stream.slice(0, at))
        await eventually(() => running.server.endpoints[0]!.counters.bytesIn === at)
      }
      expect(await peer.send(stream.slice(at)).finish().end()).toBe('\x01AB-D one\nAB-D two\n')
      expect(running.server.endpoints[0]!.counters).toMatchObject({ messagesIn: 3, queuedBytes: 0 })
    },
  )

  const between = { 'start-end': { start: '<', end: '>', between: '\\r\\n' } }
  it.each([
    ['json-stream', '\r\n{"a":{}}', '{"a":{}}'],
    [between, '\r\n\r\n<ab>', 'ab'],
    [{ line: { maxLength: 4, whenTooLong: 'skip' } }, `${'x'.repeat(90)}\nab\n`, 'ab'],
  ] as const)('reads a login in %j behind what means nothing, however it arrives', async (framing, bytes, login) => {
    await using running = await start({
      listen: {
        any: {
          port: 0,
          onConnect: [{ expect: { framing, format: 'text', timeout: '5s' } }, { reply: 'login ${msg}' }],
          dataflow: [{ reply: '${msg}' }],
        },
      },
    })
    for (let at = 1; at <= bytes.length; at++) {
      await using peer = await Peer.connect(running.port())
      peer.send(bytes.slice(0, at))
      await eventually(() => running.server.clients.list().some(({ bytesIn }) => bytesIn === at))
      expect(
        await peer
          .send(`${bytes.slice(at)}rest\n`)
          .finish()
          .end(),
      ).toBe(`login ${login}\nrest\n`)
      await eventually(() => running.server.clients.list().length === 0)
    }
  })

  it('takes two logins one after the other, whatever comes with them in one read', async () => {
    const login = { framing: { fixed: { length: 2 } }, format: 'text' } as const
    await using running = await start({
      listen: {
        two: {
          port: 0,
          onConnect: [{ expect: login }, { reply: 'a ${msg}' }, { expect: login }, { reply: 'b ${msg}' }],
          dataflow: [{ reply: '${msg}' }],
        },
      },
    })
    await using peer = await Peer.connect(running.port())
    expect(await peer.send('1122rest\n').finish().end()).toBe('a 11\nb 22\nrest\n')
  })

  it('takes what matches and leaves the others in their order, though all came in one read', async () => {
    await using running = await start({
      listen: {
        pairs: {
          port: 0,
          dataflow: [{ expect: { match: 'answer == msg + "!"', into: 'it' } }, { reply: '${msg.it}' }],
        },
      },
    })
    await using peer = await Peer.connect(running.port())
    expect(await peer.send('a\nb\nb!\na!\nc\nc!\n').finish().end()).toBe('a!\nb!\nc!\n')
  })

  it('answers before it waits, and hears the answer to that', async () => {
    await using running = await start({
      listen: {
        astm: {
          port: 0,
          framing: 'raw',
          format: 'text',
          dataflow: [
            { filter: 'msg == "\\x05"' },
            { reply: { raw: '\\x06' } },
            { expect: { into: 'data' } },
            { reply: { raw: 'got ${msg.data}' } },
          ],
        },
      },
    })
    await using peer = await Peer.connect(running.port())
    await peer.send('\x05').hear('\x06')
    await peer.send('record').hear('got record')
  })

  it('fails the message when nothing comes in time, and the lane goes on', async () => {
    await using running = await start({
      listen: {
        slow: {
          port: 0,
          dataflow: [{ expect: { match: 'answer == "yes"', timeout: '20ms' } }, { reply: 'fine' }],
          onError: [{ reply: '${error.code}: ${error.message}' }],
        },
      },
    })
    await using peer = await Peer.connect(running.port())
    await peer.send('a\n').hear('wait_failed: what was waited for did not arrive within 20 ms\n')
    await peer.send('b\nyes\n').hear('fine\n')
  })

  it('says why it could not compare', async () => {
    await using running = await start({
      listen: {
        slow: {
          port: 0,
          dataflow: [{ expect: { match: 'num(answer) > 3', timeout: '30ms' } }],
          onError: [{ reply: '${error.message}' }],
        },
      },
    })
    await using peer = await Peer.connect(running.port())
    await peer.send('a\nno number\n').hear('; the last message could not be compared: ')
  })

  it('closes a client that logs in with something else, and drops what came behind it', async () => {
    const onConnect = [{ expect: { match: 'answer == "secret"', framing: 'line' } }] as const
    await using running = await start({
      listen: { shell: { port: 0, onConnect, dataflow: [{ reply: 'ran ${msg}' }] } },
    })
    await using peer = await Peer.connect(running.port())
    expect(await peer.send('guess\nrm\n').end()).toBe('')
    const closed = await running.event('connection.closed')
    expect(closed).toMatchObject({ reason: 'connect_failed', detail: 'something else arrived' })
    expect(running.server.endpoints[0]!.counters.queuedBytes).toBe(0)
  })

  it('ends when the client goes, and when the server stops', async () => {
    await using running = await start({
      listen: {
        wait: {
          port: 0,
          dataflow: [{ reply: 'ready' }, { expect: { timeout: '1h' } }],
          onError: [{ reply: '${error.message}' }],
        },
      },
    })
    await using peer = await Peer.connect(running.port())
    expect(await peer.send('a\n').finish().end()).toBe('ready\nthe connection has ended, or reads no more\n')
    await using other = await Peer.connect(running.port())
    await other.send('a\n').hear('ready\n')
    await running.server.stop({ deadline: 60_000 })
    expect(await other.end()).toBe('ready\nthe connection has ended, or reads no more\n')
  })

  it('ends when so much else has arrived that the client is held back', async () => {
    await using running = await start({
      listen: {
        full: {
          port: 0,
          limits: { maxQueued: '4KiB' },
          dataflow: [
            { filter: 'msg == "go"' },
            { reply: 'ready' },
            { expect: { match: 'answer == "x"', timeout: '1h' } },
          ],
          onError: [{ reply: '${error.message}' }],
        },
      },
    })
    await using peer = await Peer.connect(running.port())
    await peer.send('go\n').hear('ready\n')
    await peer.send('something else\n'.repeat(1000)).hear('too much else arrived, more than limits.maxQueued\n')
    expect(running.all('connection.closed')).toEqual([])
  })

  it('ends at once where the client is held back already', async () => {
    await using running = await start({
      listen: {
        full: {
          port: 0,
          limits: { maxQueued: '4KiB' },
          dataflow: [{ expect: { match: 'answer == "x"', timeout: '1h' } }],
          onError: [{ reply: '${error.message}' }],
        },
      },
    })
    await using peer = await Peer.connect(running.port())
    peer.send('a\n'.repeat(3000))
    await peer.until(({ text }) => text.split('too much else arrived').length > 3)
  })

  it.each([
    { expect: { timeout: '1h' }, timeout: '20ms' },
    { fork: { branches: { one: [{ expect: { timeout: '1h' } }] } }, timeout: '20ms' },
  ])('ends with the time of the step %j, and takes nothing that arrives later', async (step) => {
    await using running = await start({
      listen: {
        slow: {
          port: 0,
          dataflow: [{ filter: 'msg == "ask"', else: [{ reply: 'got ${msg}' }] }, step],
          onError: [{ reply: '${error.code}' }],
        },
      },
    })
    await using peer = await Peer.connect(running.port())
    await peer.send('ask\n').hear('step_timeout\n')
    await peer.send('next\n').hear('got next\n')
  })

  it('gives what it has read with a framing of its own back when it fails', async () => {
    await using running = await start({
      listen: {
        mixed: {
          port: 0,
          dataflow: [
            { filter: 'msg == "binary"', else: [{ reply: 'got ${msg}' }] },
            { reply: 'ready' },
            { expect: { framing: { fixed: { length: 17 } }, timeout: '100ms' } },
          ],
          onError: [{ reply: '${error.code}' }],
        },
      },
    })
    await using peer = await Peer.connect(running.port())
    await peer.send('binary\n').hear('ready\n')
    await peer.send('hello\n').hear('wait_failed\ngot hello\n')
    await using other = await Peer.connect(running.port())
    await other.send('binary\n').hear('ready\n')
    expect(await other.send('hello\n').finish().end()).toBe('ready\nwait_failed\ngot hello\n')
  })

  it('finds in onConnect what has come before a FIN, however long the steps before it take', async () => {
    const login = { framing: { fixed: { length: 2 } }, format: 'text' } as const
    const looked = Promise.withResolvers<null>()
    const lookUp = () => looked.promise
    await using running = await start({
      listen: {
        two: {
          port: 0,
          onConnect: [{ expect: login }, lookUp, { expect: login }, { reply: 'b ${msg}' }],
          dataflow: [{ reply: '${msg}' }],
          onError: [{ reply: '${error.code}' }],
        },
      },
    })
    await using peer = await Peer.connect(running.port())
    peer.send('1122rest\ncut').finish()
    await eventually(() => running.server.clients.list()[0]?.state === 'closing')
    looked.resolve(null)
    expect(await peer.end()).toBe('b 22\nrest\nframe_truncated\n')
  })

  it('is no silence: what is held while onConnect runs is the first frame in time', async () => {
    const late = Promise.withResolvers<null>()
    const lookUp = () => late.promise
    await using running = await start({
      listen: {
        quick: {
          port: 0,
          limits: { firstFrameTimeout: '100ms' },
          onConnect: [lookUp],
          dataflow: [{ reply: '${msg}' }],
        },
      },
    })
    await using silent = await Peer.connect(running.port())
    await using peer = await Peer.connect(running.port())
    peer.send('hello\n')
    await eventually(() => running.server.clients.list().some(({ state }) => state === 'closing'))
    late.resolve(null)
    await silent.end()
    await peer.hear('hello\n')
    expect(running.server.clients.list().map(({ state }) => state)).toContain('open')
  })

  it('refuses a framing that needs silence to end a frame', async () => {
    const onConnect = [{ expect: { framing: { gap: { silence: '50ms' } } } }]
    await expect(start({ listen: { quiet: { port: 0, onConnect, dataflow: [] } } })).rejects.toThrow(
      /onConnect\[0\] \(expect\): a framing whose frames end by silence/,
    )
  })

  it('refuses a frame that is longer than its own framing allows', async () => {
    const onConnect = [{ expect: { framing: { line: { maxLength: 8 } } } }]
    await using running = await start({ listen: { long: { port: 0, onConnect, dataflow: [] } } })
    await using peer = await Peer.connect(running.port())
    peer.send('x'.repeat(9)).send('\n')
    expect((await running.event('connection.closed')).detail).toContain('longer than 8 bytes')
  })

  it('refuses a frame that is too long for its own framing', async () => {
    await using running = await start({
      listen: { long: { ...tracker, limits: { maxFrameLength: 16 }, onConnect: [{ expect: { framing: 'line' } }] } },
    })
    await using peer = await Peer.connect(running.port())
    peer.send('x'.repeat(200))
    expect((await running.event('connection.closed')).detail).toContain('longer than 16 bytes')
  })
})

it.each(['expect', 'request'])('%s takes a frame that was cut on purpose, and tells that it was', async (name) => {
  const step = name === 'expect' ? { expect: { into: 'next' } } : { request: { text: '?', into: 'next' } }
  await using running = await start({
    listen: {
      short: {
        port: 0,
        framing: { line: { maxLength: 4, whenTooLong: 'truncate' } },
        dataflow: [step, { reply: '${msg.value} ${msg.next}' }],
      },
    },
  } as never)
  await using peer = await Peer.connect(running.port())
  peer.send('a\n')
  await eventually(() => running.server.endpoints[0]!.counters.messagesIn === 1)
  await peer.send('abcdefgh\nb\n').hear('a abcd\n')
  const told = running.all('frame.rejected').map(({ message, error }) => [error.code, message.raw.toString()])
  expect(told).toEqual([['frame_cut', 'abcd']])
  const { rejected, messagesIn } = running.server.endpoints[0]!.counters
  expect([Object.fromEntries(rejected), messagesIn]).toEqual([{ frame_cut: 1 }, 3])
})

it('expect with a framing of its own fails where that cuts', async () => {
  const framing = { line: { maxLength: 4, whenTooLong: 'truncate' } } as const
  await using running = await start({
    listen: { short: { port: 0, onConnect: [{ expect: { framing } }], dataflow: [{ reply: 'never' }] } },
  })
  await using peer = await Peer.connect(running.port())
  peer.send('abcdefgh\n')
  expect((await running.event('connection.closed')).detail).toContain('longer than 4 bytes and was cut there')
})

describe('request', () => {
  /** A PLC that has connected to us, and people who ask for its values. */
  const plc = (match?: string) => ({
    plc: { port: 0, dataflow: [{ reply: 'unasked ${msg}' }] },
    people: {
      port: 0,
      dataflow: [
        {
          request: { to: { endpoint: 'plc' }, text: 'get ${msg}', into: 'got', timeout: '5s', ...(match && { match }) },
        },
        { reply: '${msg.value} is ${msg.got}' },
      ],
      onError: [{ reply: '${error.code}: ${error.message}' }],
    },
  })

  it('gives each its own answer, whatever their order, where match tells them apart', async () => {
    await using running = await start({ listen: plc('answer.startsWith(msg)') })
    await using device = await Peer.connect(running.port('plc'))
    await using one = await Peer.connect(running.port('people'))
    await using two = await Peer.connect(running.port('people'))
    one.send('t1\n')
    await device.hear('get t1\n')
    two.send('t2\n')
    await device.hear('get t2\n')
    device.send('t2=8\nsomething\nt1=7\n')
    expect(await one.hear('\n')).toBe('t1 is t1=7\n')
    expect(await two.hear('\n')).toBe('t2 is t2=8\n')
    await device.hear('unasked something\n')
  })

  it('asks one after the other where nothing tells the answers apart', async () => {
    await using running = await start({ listen: plc() })
    await using device = await Peer.connect(running.port('plc'))
    await using one = await Peer.connect(running.port('people'))
    await using two = await Peer.connect(running.port('people'))
    one.send('a\n')
    await device.hear('get a\n')
    two.send('b\n')
    await eventually(() => running.server.endpoints.find(({ name }) => name === 'people')!.counters.messagesIn === 2)
    expect(device.text).toBe('get a\n')
    device.send('1\n')
    await device.hear('get b\n')
    device.send('2\n')
    expect(await one.hear('\n')).toBe('a is 1\n')
    expect(await two.hear('\n')).toBe('b is 2\n')
  })

  it('takes no message for the answer that had arrived before the question', async () => {
    const ask = { request: { text: 'weight of ${msg}?', into: 'weight', timeout: '5s' } }
    await using running = await start({
      listen: { scans: { port: 0, dataflow: [ask, { reply: '${msg.value}: ${msg.weight}' }] } },
    })
    await using scanner = await Peer.connect(running.port())
    scanner.send('one\ntwo\n')
    await scanner.hear('weight of one?\n')
    await scanner.send('1 kg\n').hear('one: 1 kg\nweight of two?\n')
    await scanner.send('2 kg\n').hear('two: 2 kg\n')
  })

  it('closes a connection that owes an answer, and asks the next question on a new one', async () => {
    await using scale = await Upstream.start()
    await using running = await start({
      listen: {
        people: {
          port: 0,
          dataflow: [
            { request: { to: { endpoint: 'scale' }, text: 'weigh ${msg}', timeout: '1s' } },
            { reply: '${msg}' },
          ],
          onError: [{ reply: 'ERR ${msg}' }],
        },
      },
      connect: { scale: { host: '127.0.0.1', port: scale.port, dataflow: [] } },
    })
    await using one = await Peer.connect(running.port('people'))
    const first = await scale.peer()
    one.send('a\n')
    await first.hear('weigh a\n')
    await one.hear('ERR a\n')
    await first.end()
    const { reason, detail } = await running.event('connection.closed')
    expect({ reason, detail }).toEqual({
      reason: 'closed_by_step',
      detail: 'a question got no answer, and a late one would be taken for that to the next',
    })
    const second = await scale.peer(1)
    await eventually(() => running.server.clients.list('scale').length === 1)
    one.send('b\n')
    await second.hear('weigh b\n')
    second.send('2 kg\n')
    await one.hear('2 kg\n')
  })

  it('leaves the connection open where it is told to, and where match tells the answers apart', async () => {
    const ask = { to: { endpoint: 'plc' }, text: 'get ${msg}', timeout: '20ms' }
    await using running = await start({
      listen: {
        plc: { port: 0, dataflow: [{ reply: 'late ${msg}' }] },
        trusting: {
          port: 0,
          dataflow: [{ request: { ...ask, whenTimedOut: 'forget' } }],
          onError: [{ reply: '${error.code}' }],
        },
        exact: {
          port: 0,
          dataflow: [{ request: { ...ask, match: 'answer == msg' } }],
          onError: [{ reply: '${error.code}' }],
        },
      },
    } as never)
    await using device = await Peer.connect(running.port('plc'))
    await eventually(() => running.server.clients.list('plc').length === 1)
    for (const name of ['trusting', 'exact']) {
      await using one = await Peer.connect(running.port(name))
      await one.send(`${name}\n`).hear('wait_failed\n')
      await device.hear(`get ${name}\n`)
      await device.send(`${name}\n`).hear(`late ${name}\n`)
    }
  })

  it('answers a client that it closes for an answer that it owes', async () => {
    const flow = {
      dataflow: [{ request: { text: 'how much?', timeout: '20ms' } }],
      onError: [{ reply: '${error.code}' }],
    }
    await using running = await start({ listen: { scans: { port: 0, ...flow } } })
    await using scanner = await Peer.connect(running.port())
    expect(await scanner.send('one\n').end()).toBe('how much?\nwait_failed\n')
  })

  it('does not ask for who has no time left to hear the answer', async () => {
    const ask = { to: { endpoint: 'plc' }, text: 'get ${msg}' } as const
    await using running = await start({
      listen: {
        plc: { port: 0, dataflow: [] },
        patient: { port: 0, dataflow: [{ request: ask }, { reply: '${msg}' }] },
        hurried: {
          port: 0,
          dataflow: [{ request: ask, timeout: '20ms' }, { reply: '${msg}' }],
          onError: [{ reply: '${error.code}' }],
        },
      },
    })
    await using device = await Peer.connect(running.port('plc'))
    await using patient = await Peer.connect(running.port('patient'))
    await using hurried = await Peer.connect(running.port('hurried'))
    patient.send('a\n')
    await device.hear('get a\n')
    await hurried.send('b\n').hear('step_timeout\n')
    device.send('A\n')
    await patient.hear('A\n')
    patient.send('c\n')
    await device.hear('get c\n')
    expect(device.text).toBe('get a\nget c\n')
  })

  it('says who is missing, and who left without an answer', async () => {
    await using running = await start({ listen: plc() })
    await using one = await Peer.connect(running.port('people'))
    await one.send('a\n').hear('client_unknown: no client of "plc" is connected\n')
    const device = await Peer.connect(running.port('plc'))
    await eventually(() => running.server.clients.list('plc').length === 1)
    one.send('b\n')
    await device.hear('get b\n')
    device.finish()
    await one.hear('wait_failed: the connection has ended, or reads no more\n')
    await device[Symbol.asyncDispose]()
  })

  it('tells two devices apart only by their id', async () => {
    await using running = await start({ listen: plc() })
    await using _a = await Peer.connect(running.port('plc'))
    await using _b = await Peer.connect(running.port('plc'))
    await eventually(() => running.server.clients.list('plc').length === 2)
    await using one = await Peer.connect(running.port('people'))
    await one.send('a\n').hear('client_unknown: there are several clients of "plc"\n')
  })

  it('asks the one client that has a tag', async () => {
    await using running = await start({
      listen: {
        machines: { port: 0, dataflow: [{ set: { 'client.tags.name': 'msg' } }, { reply: 'you are ${msg}' }] },
        people: {
          port: 0,
          dataflow: [
            { request: { to: { tag: 'name', value: 'msg' }, text: 'state?', match: 'answer.startsWith("is ")' } },
            { reply: '${msg}' },
          ],
          onError: [{ reply: '${error.code}: ${error.message}' }],
        },
      },
    })
    await using press = await Peer.connect(running.port('machines'))
    await press.send('press\n').hear('you are press\n')
    await using saw = await Peer.connect(running.port('machines'))
    await saw.send('saw\n').hear('you are saw\n')
    await using one = await Peer.connect(running.port('people'))
    one.send('saw\n')
    await saw.hear('state?\n')
    saw.send('is sharp\n')
    await one.hear('is sharp\n')
    expect(press.text).toBe('you are press\n')
    await one.send('drill\n').hear('client_unknown: no client whose tag name is "drill" is connected\n')
    await press.send('saw\n').hear('you are saw\n')
    await one.send('saw\n').hear('client_unknown: there are several clients whose tag name is "saw"\n')
  })
})
