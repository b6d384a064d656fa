import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { SocketAdapter } from '../../src/transports/net-socket.ts'
import { REST_MS } from '../../src/util/rests.ts'
import { eventually, Gate, registryWith } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { type Running, start } from '../support/server.ts'

const rest = vi.spyOn(SocketAdapter.prototype, 'rest')
const wake = vi.spyOn(SocketAdapter.prototype, 'wake')

// No rest is over before its time is made to pass.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})
afterEach(() => {
  vi.useRealTimers()
  vi.clearAllMocks()
})

/** @param steps stand behind the gate */
function startWith(gate: Gate, steps: object[], options: object = {}): Promise<Running> {
  const dataflow = [{ gate: {} }, ...steps]
  return start({ listen: { slow: { port: 0, dataflow, ...options } } } as never, {
    registry: registryWith('gate', gate.write),
  })
}

it('a connection rests while its run waits, and reads on when that has ended', async () => {
  const gate = new Gate()
  await using running = await startWith(gate, [{ reply: '${msg}' }])
  await using peer = await Peer.connect(running.port())
  peer.send('1\n')
  await gate.entered()
  expect(rest).toHaveBeenCalledTimes(1)
  await using other = await Peer.connect(running.port())
  peer.send('2\n3\n')
  other.send('4\n')
  await gate.entered(2)
  expect(gate.values).toEqual(['1', '4'])
  gate.open()
  await peer.hear('1\n2\n3\n')
  expect(running.server.endpoints[0]!.counters.queuedBytes).toBe(0)
})

it('a run that does not wait brings no rest, nor does one with a large read', async () => {
  const gate = new Gate()
  await using running = await startWith(gate, [], {
    dataflow: [{ gate: {}, if: 'msg == "slow"' }, { reply: '${msg}' }],
  })
  await using peer = await Peer.connect(running.port())
  await peer.send('quick\n').hear('quick\n')
  peer.send(`${'x\n'.repeat(10_000)}slow\n`)
  await gate.entered()
  expect(rest).not.toHaveBeenCalled()
  gate.open()
})

it('what ends with silence is read when it comes', async () => {
  const gate = new Gate()
  await using running = await startWith(gate, [], { framing: { gap: '10ms' } })
  await using peer = await Peer.connect(running.port())
  peer.send('1')
  await eventually(() => running.server.endpoints[0]!.counters.bytesIn === 1)
  vi.advanceTimersByTime(10)
  await gate.entered()
  peer.send('2')
  await eventually(() => running.server.endpoints[0]!.counters.bytesIn === 2)
  expect(rest).not.toHaveBeenCalled()
  gate.open()
})

it('who waits for the next frame wakes the connection', async () => {
  const gate = new Gate()
  const expecting = { expect: { match: 'answer == "yes"', timeout: '1h' } }
  await using running = await startWith(gate, [expecting, { reply: '${msg}' }])
  await using peer = await Peer.connect(running.port())
  peer.send('sure?\n')
  await gate.entered()
  expect(rest).toHaveBeenCalledTimes(1)
  expect(wake).not.toHaveBeenCalled()
  peer.send('yes\n')
  gate.open()
  await peer.hear('yes\n')
})

it('a client that goes in mid-run is seen when its rest is over, at the latest', async () => {
  const gate = new Gate()
  await using running = await startWith(gate, [])
  const peer = await Peer.connect(running.port())
  peer.send('1\n')
  await gate.entered()
  expect(rest).toHaveBeenCalledTimes(1)
  const [client] = running.server.clients.list()
  peer.socket.destroy()
  vi.advanceTimersByTime(2 * REST_MS)
  await eventually(() => client!.state !== 'open')
  gate.open()
})
