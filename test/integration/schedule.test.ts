import { describe, expect, it } from 'vitest'
import type { Config } from '../../src/index.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import { eventually } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { start } from '../support/server.ts'

const config = (every: string, dataflow: NonNullable<Config['schedule']>[string]['dataflow']): Config => ({
  schedule: { clock: { every, runAtStart: true, ...(dataflow && { dataflow }) } },
})

describe('a schedule', () => {
  it('runs its dataflow with event == "timer", again and again', async () => {
    await using running = await start(config('10ms', [{ log: '${event} ${msg == null} ${endpoint}' }]))
    await eventually(() => running.all('part.logged').length >= 3)
    expect(new Set(running.all('part.logged').map(({ text }) => text))).toEqual(new Set(['timer true clock']))
    expect(running.server.endpoints).toMatchObject([{ name: 'clock', kind: 'schedule', connections: 0 }])
    expect(running.server.endpoints[0]!.counters.messagesIn).toBeGreaterThanOrEqual(3)
  })

  it('writes to clients', async () => {
    await using running = await start({
      listen: { displays: { port: 0, dataflow: [{ reply: 'hello' }] } },
      schedule: { tick: { every: '10ms', dataflow: [{ send: { to: { endpoint: 'displays' }, text: 'tick' } }] } },
    })
    await using display = await Peer.connect(running.port())
    await display.hear('tick\ntick\n')
  })

  it('skips a run while the last one has not ended, and tells of it', async () => {
    const released = Promise.withResolvers<void>()
    let runs = 0
    const slow = async () => {
      runs++
      await released.promise
    }
    await using running = await start(config('5ms', [slow]))
    const metrics = createMetrics(running.server, running.server.events)
    await eventually(() => running.all('schedule.skipped').length >= 2)
    expect(runs).toBe(1)
    expect(await metrics.text()).toMatch(/sluice_schedule_runs_skipped_total\{endpoint="clock"\} [1-9]/)
    metrics.close()
    released.resolve()
    await eventually(() => runs > 1)
  })

  it('keeps a run that fails as a dead letter, and goes on', async () => {
    await using running = await start(config('10ms', [{ map: 'msg.missing + 1' }]))
    await eventually(() => running.all('deadLetter.stored').length >= 2)
    expect(running.all('message.failed')[0]).toMatchObject({
      step: 'schedule.clock.dataflow[0]',
      outcome: 'dead letter',
    })
    expect(running.all('deadLetter.stored')[0]!.message).toMatchObject({ event: 'timer', msg: null })
  })

  it('finishes a run that has begun before the server stops', async () => {
    const begun = Promise.withResolvers<void>()
    const released = Promise.withResolvers<void>()
    let ended = false
    const slow = async () => {
      begun.resolve()
      await released.promise
      ended = true
    }
    await using running = await start(config('1h', [slow]))
    await begun.promise
    const stopped = running.server.stop()
    released.resolve()
    await stopped
    expect(ended).toBe(true)
  })

  it('goes on with another dataflow after a reload, and with another time only when that differs', async () => {
    await using running = await start(config('1h', [{ log: 'old' }]))
    await running.event('part.logged', ({ text }) => text === 'old')
    // The same time: no new start.
    await running.server.reload(config('60m', [{ log: 'new' }]))
    await running.server.reload(config('2h', [{ log: 'newer' }]))
    await running.event('part.logged', ({ text }) => text === 'newer')
    expect(running.all('part.logged').map(({ text }) => text)).toEqual(['old', 'newer'])
    await running.server.reload({ listen: { a: { port: 0, dataflow: [{ log: 'x' }] } } })
    expect(running.server.endpoints.map(({ name }) => name)).toEqual(['a'])
  })
})
