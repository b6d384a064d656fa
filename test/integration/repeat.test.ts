import { describe, expect, it } from 'vitest'
import { eventually } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { start } from '../support/server.ts'

describe('repeat with request', () => {
  it('asks again until the device is ready', async () => {
    await using running = await start({
      listen: {
        press: {
          port: 0,
          dataflow: [
            { repeat: { until: 'msg.state == "ready"', dataflow: [{ request: { text: 'state?', into: 'state' } }] } },
            { reply: 'begin ${msg.value}' },
          ],
        },
      },
    })
    await using press = await Peer.connect(running.port())
    press.send('job 7\n')
    for (const state of ['busy', 'busy', 'ready']) {
      const before = press.text
      await press.until(({ text }) => text === `${before}state?\n`)
      press.send(`${state}\n`)
    }
    await press.hear('begin job 7\n')
    expect(press.text).toBe(`${'state?\n'.repeat(3)}begin job 7\n`)
  })

  it('asks again when no answer came, and says so when none came at all', async () => {
    const ask = {
      request: { to: { endpoint: 'plc' }, text: 'get ${msg}', timeout: '20ms', whenTimedOut: 'forget' },
    } as const
    await using running = await start({
      listen: {
        plc: { port: 0, dataflow: [] },
        people: {
          port: 0,
          dataflow: [{ repeat: { max: 3, dataflow: [ask] } }, { reply: '${msg}' }],
          onError: [{ reply: '${error.code} in ${error.step}' }],
        },
      },
    })
    await using device = await Peer.connect(running.port('plc'))
    await eventually(() => running.server.clients.list('plc').length === 1)
    await using person = await Peer.connect(running.port('people'))
    await person.send('a\n').hear('wait_failed in listen.people.dataflow[0].repeat.dataflow[0]\n')
    expect(device.text).toBe('get a\n'.repeat(3))
  })

  it('gives each message of a read the time of the step', async () => {
    const again = { until: 'msg.endsWith("!!!")', pause: '300ms', dataflow: [{ map: 'msg + "!"' }] }
    await using running = await start({
      listen: {
        press: {
          port: 0,
          dataflow: [{ repeat: again, timeout: '1500ms' }, { reply: '${msg}' }],
          onError: [{ reply: '${error.code}' }],
        },
      },
    })
    await using press = await Peer.connect(running.port())
    await press.send('a\nb\nc\n').hear('a!!!\nb!!!\nc!!!\n')
  })

  it('is over when the time of the step is over', async () => {
    await using running = await start({
      listen: {
        press: {
          port: 0,
          dataflow: [{ repeat: { until: 'false', max: 10_000, pause: '1ms', dataflow: [] }, timeout: '20ms' }],
          onError: [{ reply: '${error.code}' }],
        },
      },
    })
    await using press = await Peer.connect(running.port())
    await press.send('a\nb\n').hear('step_timeout\nstep_timeout\n')
  })
})
