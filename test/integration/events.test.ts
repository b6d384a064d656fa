import { describe, expect, it } from 'vitest'
import { addStep, eventually, Gate, registryWith } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { start } from '../support/server.ts'

describe('runOnConnect', () => {
  it('greets a client that never speaks', async () => {
    await using running = await start({
      listen: { shell: { port: 0, runOnConnect: true, dataflow: [{ reply: '${event} ${msg == null}' }] } },
    })
    await using peer = await Peer.connect(running.port())
    await peer.hear('connect true\n')
    expect(running.server.clients.list()[0]).toMatchObject({ bytesIn: 0, messagesIn: 0, messagesOut: 1 })
  })

  it('greets before what the client has sent at once', async () => {
    await using running = await start({
      listen: { shell: { port: 0, runOnConnect: true, dataflow: [{ reply: '${event}' }] } },
    })
    await using peer = await Peer.connect(running.port())
    expect(await peer.send('a\nb\n').finish().end()).toBe('connect\nmessage\nmessage\n')
  })

  it('is off by default: a client that does not speak hears nothing', async () => {
    await using running = await start({ listen: { shell: { port: 0, dataflow: [{ reply: '${event}' }] } } })
    await using peer = await Peer.connect(running.port())
    await running.event('connection.opened')
    expect(await peer.finish().end()).toBe('')
    await using other = await Peer.connect(running.port())
    expect(await other.send('x\n').finish().end()).toBe('message\n')
  })
})

describe('onConnect', () => {
  it('runs before the data, and before the dataflow that runOnConnect starts', async () => {
    await using running = await start({
      listen: {
        shell: {
          port: 0,
          runOnConnect: true,
          onConnect: [{ set: { 'state.name': '"ready"' } }, { reply: 'hello' }],
          dataflow: [{ reply: '${event} ${state.name}' }],
        },
      },
    })
    await using peer = await Peer.connect(running.port())
    expect(await peer.send('x\n').finish().end()).toBe('hello\nconnect ready\nmessage ready\n')
  })

  it('holds back what arrives while it is slow', async () => {
    const gate = new Gate()
    const registry = registryWith('gate', gate.write)
    const onConnect = [{ gate: {} }, { reply: 'welcome' }] as never
    await using running = await start(
      { listen: { shell: { port: 0, onConnect, dataflow: [{ reply: 'got ${msg}' }] } } },
      { registry },
    )
    await using peer = await Peer.connect(running.port())
    peer.send('one\ntwo\n')
    const { counters } = running.server.endpoints[0]!
    await eventually(() => counters.bytesIn === 8)
    expect(counters).toMatchObject({ messagesIn: 0, queuedBytes: 8 })
    expect(peer.text).toBe('')
    gate.open()
    expect(await peer.finish().end()).toBe('welcome\ngot one\ngot two\n')
    expect(counters.queuedBytes).toBe(0)
  })

  it('that fails closes the connection with a reason, and nothing that was sent meanwhile is run', async () => {
    const { promise: failing, reject: fail } = Promise.withResolvers<void>()
    const registry = registryWith('login', () => failing)
    const onConnect = [{ login: {}, id: 'login' }] as never
    const seen: unknown[] = []
    const dataflow = [(msg: unknown) => void seen.push(msg)] as never
    await using running = await start(
      { listen: { shell: { port: 0, onConnect, dataflow, onDisconnect: [{ log: 'gone' }] } } },
      { registry },
    )
    await using peer = await Peer.connect(running.port())
    peer.send('secret\n')
    const { counters } = running.server.endpoints[0]!
    await eventually(() => counters.bytesIn === 7)
    fail(new Error('no such user'))
    expect(await peer.end()).toBe('')
    const { reason, detail } = await running.event('connection.closed')
    expect({ reason, detail }).toEqual({ reason: 'connect_failed', detail: 'no such user' })
    expect(counters.closed).toEqual(new Map([['connect_failed', 1]]))
    await running.event('part.logged', ({ text }) => text === 'gone')
    expect(seen).toEqual([])
    expect(counters.queuedBytes).toBe(0)
    const { message, error } = await running.event('deadLetter.stored')
    expect({ event: message.event, msg: message.msg, code: error.code }).toEqual({
      event: 'connect',
      msg: null,
      code: 'sink_failed',
    })
  })

  it('that fails at once closes too; one whose step handles the error does not', async () => {
    const greet = { reply: '${msg.name + 1}' }
    await using running = await start({
      listen: {
        strict: { port: 0, onConnect: [greet], dataflow: [{ reply: 'x' }] },
        lenient: { port: 0, onConnect: [{ ...greet, onError: [{ reply: 'hello all the same' }] }], dataflow: [] },
      },
    })
    await using strict = await Peer.connect(running.port('strict'))
    expect(await strict.end()).toBe('')
    expect((await running.event('connection.closed')).reason).toBe('connect_failed')
    await using lenient = await Peer.connect(running.port('lenient'))
    await lenient.hear('hello all the same\n')
  })
})

describe('onDisconnect', () => {
  it('runs after the last message, with event in scope', async () => {
    await using running = await start({
      listen: {
        shell: {
          port: 0,
          dataflow: [{ set: { 'state.last': 'msg' } }, { log: '${event} ${msg}' }],
          onDisconnect: [{ log: '${event} ${msg == null} after ${state.last}' }],
        },
      },
    })
    await using peer = await Peer.connect(running.port())
    await peer.send('1\n2\n3\n').finish().end()
    await running.event('part.logged', ({ text }) => text.startsWith('disconnect'))
    expect(running.all('part.logged').map(({ text }) => text)).toEqual([
      'message 1',
      'message 2',
      'message 3',
      'disconnect true after 3',
    ])
  })

  it('waits for what is queued when the client resets', async () => {
    const gate = new Gate()
    const registry = registryWith('gate', gate.write)
    const dataflow = [{ gate: {} }, { log: 'stored ${msg}' }] as never
    await using running = await start(
      { listen: { shell: { port: 0, dataflow, onDisconnect: [{ log: 'gone' }] } } },
      { registry },
    )
    await using peer = await Peer.connect(running.port())
    peer.send('1\n')
    await gate.entered()
    peer.send('2\n3\n')
    const { counters } = running.server.endpoints[0]!
    await eventually(() => counters.bytesIn === 6)
    peer.socket.resetAndDestroy()
    expect((await running.event('connection.closed')).reason).toBe('client_reset')
    gate.open()
    await running.event('part.logged', ({ text }) => text === 'gone')
    expect(running.all('part.logged').map(({ text }) => text)).toEqual(['stored 1', 'stored 2', 'stored 3', 'gone'])
    expect(counters).toMatchObject({ messagesIn: 3, queuedBytes: 0 })
    expect(running.all('connection.closed')).toHaveLength(1)
  })

  it('runs also when a step of the dataflow was still waiting at the close', async () => {
    const order: string[] = []
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    const registry = addStep(
      registryWith('none', () => undefined),
      'wait',
      {
        async run(message) {
          await released
          order.push('message')
          return message
        },
      },
    )
    const dataflow = [{ wait: {} }] as never
    const onDisconnect = [(_: unknown, { event }: { event: string }) => void order.push(event)] as never
    await using running = await start({ listen: { shell: { port: 0, dataflow, onDisconnect } } }, { registry })
    await using peer = await Peer.connect(running.port())
    peer.send('x\n')
    await eventually(() => running.server.endpoints[0]!.counters.messagesIn === 1)
    peer.socket.resetAndDestroy()
    await running.event('connection.closed')
    expect(order).toEqual([])
    release()
    await eventually(() => order.length === 2)
    expect(order).toEqual(['message', 'disconnect'])
  })
})
