import { describe, expect, it } from 'vitest'
import { eventually } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { start } from '../support/server.ts'

describe('throttle', () => {
  it('spaces messages that came in one read', async () => {
    const dataflow = [{ throttle: { max: 1, every: '60ms' } }, { reply: '${msg}' }]
    await using running = await start({ listen: { paced: { port: 0, dataflow } } })
    await using peer = await Peer.connect(running.port())
    const before = performance.now()
    expect(await peer.send('1\n2\n3\n').finish().end()).toBe('1\n2\n3\n')
    // The timers of Node.js may be early by less than a millisecond.
    expect(performance.now() - before).toBeGreaterThanOrEqual(118)
  })

  it('answers what has passed while others are held back, and fails those at the deadline of a stop', async () => {
    const dataflow = [{ throttle: { max: 1, every: '1h' } }, { reply: '${msg}' }]
    await using running = await start({ listen: { paced: { port: 0, dataflow } } })
    await using peer = await Peer.connect(running.port())
    await peer.send('1\n2\n').hear('1\n')
    await eventually(() => running.server.endpoints[0]!.counters.messagesIn === 2)
    await running.server.stop({ deadline: 50 })
    expect(peer.text).toBe('1\n')
    // A slow disk may take longer than the stop waits for it.
    expect((await running.event('deadLetter.stored')).error.code).toBe('step_timeout')
  })

  it('limits all connections together, or each by itself', async () => {
    const refusing = { max: 1, every: '1h', whenFull: 'drop' } as const
    const answers = { else: [{ reply: 'too soon' }] }
    await using running = await start({
      listen: {
        all: { port: 0, dataflow: [{ throttle: refusing, ...answers }, { reply: 'OK' }] },
        each: { port: 0, dataflow: [{ throttle: { ...refusing, per: 'client.id' }, ...answers }, { reply: 'OK' }] },
      },
    })
    const talk = async (endpoint: string) => {
      await using peer = await Peer.connect(running.port(endpoint))
      return await peer.send('a\nb\n').finish().end()
    }
    expect([await talk('all'), await talk('all')]).toEqual(['OK\ntoo soon\n', 'too soon\ntoo soon\n'])
    expect([await talk('each'), await talk('each')]).toEqual(['OK\ntoo soon\n', 'OK\ntoo soon\n'])
  })
})

describe('delay', () => {
  it('is waited for by a stop', async () => {
    await using running = await start({
      listen: { slow: { port: 0, dataflow: [{ delay: '100ms' }, { reply: '${msg}' }] } },
    })
    await using peer = await Peer.connect(running.port())
    peer.send('a\nb\n')
    await eventually(() => running.server.endpoints[0]!.counters.messagesIn === 1)
    const stopped = running.server.stop()
    expect(await peer.end()).toBe('a\nb\n')
    await stopped
    expect(running.all('deadLetter.stored')).toEqual([])
  })

  it('fails what it still holds at the deadline of a stop', async () => {
    await using running = await start({
      listen: { slow: { port: 0, dataflow: [{ delay: '1h' }, { reply: '${msg}' }] } },
    })
    await using peer = await Peer.connect(running.port())
    peer.send('a\n')
    await eventually(() => running.server.endpoints[0]!.counters.messagesIn === 1)
    await running.server.stop({ deadline: 50 })
    // A slow disk may take longer than the stop waits for it.
    expect((await running.event('deadLetter.stored')).error.code).toBe('step_timeout')
  })

  it('has the limit of its timeout', async () => {
    await using running = await start({
      listen: {
        slow: {
          port: 0,
          dataflow: [{ delay: '1h', timeout: '20ms', onError: [{ reply: '${error.code}' }] }],
        },
      },
    })
    await using peer = await Peer.connect(running.port())
    expect(await peer.send('a\n').finish().end()).toBe('step_timeout\n')
  })
})
