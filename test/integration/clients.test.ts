import { describe, expect, it } from 'vitest'
import { eventually } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { start } from '../support/server.ts'

describe('the directory of clients', () => {
  it('knows addresses, numbers in both directions, tags and state', async () => {
    const dataflow = [{ set: { 'client.tags.room': 'msg' } }, { reply: 'in ${msg}' }]
    await using running = await start({ listen: { chat: { port: 0, dataflow } } })
    const { clients } = running.server
    const before = Date.now()
    await using peer = await Peer.connect(running.port())
    await peer.send('tea\n').hear('in tea\n')
    expect(clients.size).toBe(1)
    const [client] = clients.list()
    expect(client).toMatchObject({
      id: 'chat-1',
      endpoint: 'chat',
      ip: '127.0.0.1',
      port: peer.socket.localPort,
      localIp: '127.0.0.1',
      localPort: running.port(),
      tls: false,
      bytesIn: 4,
      bytesOut: 7,
      messagesIn: 1,
      messagesOut: 1,
      state: 'open',
      tags: { room: 'tea' },
    })
    expect(client!.since).toBeGreaterThanOrEqual(before)
    expect(client!.lastSeen).toBeGreaterThanOrEqual(client!.since)
    expect(clients.get('chat-1')).toBe(client)
    expect(clients.get('chat-2')).toBeUndefined()
    expect(clients.list('other')).toEqual([])
    await peer.finish().end()
    await running.event('connection.closed')
    expect(clients.list()).toEqual([])
    expect(client!.state).toBe('closed')
  })

  it('sends to one, to a tag, to an endpoint and to all, in the format and framing of each', async () => {
    const dataflow = [{ set: { 'client.tags.room': 'msg' } }, { reply: 'ok' }]
    await using running = await start({
      listen: {
        lines: { port: 0, dataflow },
        json: { port: 0, format: 'json', framing: { delimiter: ';' }, dataflow },
      },
    })
    const { clients } = running.server
    await using a = await Peer.connect(running.port('lines'))
    await using b = await Peer.connect(running.port('lines'))
    await using c = await Peer.connect(running.port('json'))
    await a.send('tea\n').hear('ok\n')
    await b.send('coffee\n').hear('ok\n')
    await c.send('"tea";').hear('ok;')
    const id = clients.list().find(({ port }) => port === b.socket.localPort)!.id
    expect(clients.send({ client: id }, 'text', 'one')).toEqual({ sent: 1, skipped: 0 })
    expect(clients.send({ tag: 'room', value: 'tea' }, 'value', 'tagged')).toEqual({ sent: 2, skipped: 0 })
    expect(clients.send({ endpoint: 'lines' }, 'text', 'lines')).toEqual({ sent: 2, skipped: 0 })
    expect(clients.send({ all: true }, 'raw', '!', id)).toEqual({ sent: 2, skipped: 0 })
    expect(clients.send({ tag: 'room', value: 'milk' }, 'text', 'x')).toEqual({ sent: 0, skipped: 0 })
    expect(await a.finish().end()).toBe('ok\ntagged\nlines\n!')
    expect(await b.finish().end()).toBe('ok\none\nlines\n')
    expect(await c.finish().end()).toBe('ok;"tagged";!')
  })

  it('closes one, after what is queued for it, with its own reason', async () => {
    await using running = await start({ listen: { lines: { port: 0, dataflow: [{ reply: 'x' }] } } })
    const { clients } = running.server
    await using peer = await Peer.connect(running.port())
    await using other = await Peer.connect(running.port())
    await eventually(() => clients.size === 2)
    const id = clients.list().find(({ port }) => port === peer.socket.localPort)!.id
    clients.send({ client: id }, 'text', 'bye')
    expect(clients.close(id)).toBe(true)
    expect(clients.get(id)!.state).toBe('closing')
    expect(() => clients.send({ client: id }, 'text', 'more')).toThrow()
    expect(await peer.end()).toBe('bye\n')
    expect((await running.event('connection.closed')).reason).toBe('closed_by_api')
    expect(clients.close(id)).toBe(false)
    await other.send('a\n').hear('x\n')
  })
})

describe('the step send', () => {
  it('tells all others, but for the sender', async () => {
    const dataflow = [{ send: { to: 'all', text: '${msg}', exceptSender: true } }, { reply: 'told' }] as const
    await using running = await start({ listen: { chat: { port: 0, dataflow } } })
    await using a = await Peer.connect(running.port())
    await using b = await Peer.connect(running.port())
    await eventually(() => running.server.clients.size === 2)
    await a.send('hello\n').hear('told\n')
    await b.hear('hello\n')
    expect(a.text).toBe('told\n')
  })

  it('tells those with a tag, and those who leave it hear no more', async () => {
    const route = [
      {
        if: 'msg.startsWith("join ")',
        dataflow: [{ set: { 'client.tags.room': 'after(msg, " ")' } }, { reply: 'joined' }],
      },
      { if: 'msg == "leave"', dataflow: [{ set: { 'client.tags.room': null } }, { reply: 'left' }] },
      {
        else: [
          { send: { to: { tag: 'room', value: 'client.tags.room' }, text: '${msg}', exceptSender: true } },
          { reply: 'sent' },
        ],
      },
    ]
    await using running = await start({ listen: { chat: { port: 0, dataflow: [{ route }] as never } } })
    await using a = await Peer.connect(running.port())
    await using b = await Peer.connect(running.port())
    await using c = await Peer.connect(running.port())
    for (const [peer, room] of [
      [a, 'x'],
      [b, 'x'],
      [c, 'y'],
    ] as const)
      await peer.send(`join ${room}\n`).hear('joined\n')
    await a.send('one\n').hear('sent\n')
    await b.hear('one\n')
    await b.send('leave\n').hear('left\n')
    await a.send('two\n').hear('sent\nsent\n')
    expect(await b.finish().end()).toBe('joined\none\nleft\n')
    expect(await c.finish().end()).toBe('joined\n')
  })
})

describe('the step close', () => {
  it('closes after the answers of what had arrived', async () => {
    const dataflow = [{ reply: 'got ${msg}' }, { close: {}, if: 'msg == "QUIT"' }]
    await using running = await start({ listen: { chat: { port: 0, dataflow } } })
    await using peer = await Peer.connect(running.port())
    expect(await peer.send('a\nQUIT\nb\n').end()).toBe('got a\ngot QUIT\ngot b\n')
    expect((await running.event('connection.closed')).reason).toBe('closed_by_step')
  })
})
