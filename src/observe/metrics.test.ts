import { existsSync } from 'node:fs'
import { afterEach, expect, it } from 'vitest'
import {
  type BufferCounters,
  countReason,
  type DeadLetterCounters,
  EndpointCounters,
  type ObservedEndpoint,
} from '../contracts/counters.ts'
import { SluiceError } from '../contracts/errors.ts'
import { createEvents } from '../contracts/events.ts'
import { createMessages, testSource } from '../testing/part-context.ts'
import { metricTable } from './metric-table.ts'
import { createMetrics } from './metrics.ts'

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

it('shows what the engine has counted at the moment of the scrape', async () => {
  const counters = new EndpointCounters()
  const { metrics } = create([{ name: 'scales', kind: 'listen', counters, connections: 2 }])
  counters.opened = 3
  counters.bytesIn = 1200
  counters.queuedBytes = 64
  countReason(counters.closed, 'client_closed')
  countReason(counters.failed, 'sink_failed', 4)
  const text = await metrics.text()
  expect(text).toContain('sluice_connections{endpoint="scales"} 2\n')
  expect(text).toContain('sluice_connections_opened_total{endpoint="scales"} 3\n')
  expect(text).toContain('sluice_bytes_received_total{endpoint="scales"} 1200\n')
  expect(text).toContain('sluice_queued_bytes{endpoint="scales"} 64\n')
  expect(text).toContain('sluice_connections_closed_total{endpoint="scales",reason="client_closed"} 1\n')
  expect(text).toContain('sluice_messages_failed_total{endpoint="scales",reason="sink_failed"} 4\n')
  counters.opened = 5
  expect(await metrics.text()).toContain('sluice_connections_opened_total{endpoint="scales"} 5\n')
})

it('shows whether the servers behind a relay are up, and what it has compared', async () => {
  const counters = new EndpointCounters()
  const upstreams = [
    { name: 'old:1', up: true },
    { name: 'new:1', up: false },
  ]
  const { metrics } = create([{ name: 'front', kind: 'listen', counters, connections: 0, upstreams }])
  countReason(counters.compared, 'equal', 5)
  countReason(counters.compared, 'different')
  const text = await metrics.text()
  expect(text).toContain('sluice_upstream_up{endpoint="front",upstream="old:1"} 1\n')
  expect(text).toContain('sluice_upstream_up{endpoint="front",upstream="new:1"} 0\n')
  expect(text).toContain('sluice_answers_compared_total{endpoint="front",result="equal"} 5\n')
  expect(text).toContain('sluice_answers_compared_total{endpoint="front",result="different"} 1\n')
})

it('forgets an endpoint that a reload has removed', async () => {
  const endpoints: ObservedEndpoint[] = [
    { name: 'old', kind: 'connect', counters: new EndpointCounters(), connections: 1 },
  ]
  const { metrics } = create(endpoints)
  expect(await metrics.text()).toContain('endpoint="old"')
  endpoints.pop()
  expect(await metrics.text()).not.toContain('endpoint="old"')
})

it('counts rare events that have no counter', async () => {
  const { metrics, events } = create([])
  const error = new SluiceError('connection_refused', 'nothing listens')
  const { client } = testSource({ endpoint: 'plc' })
  events.emit('dial.failed', { endpoint: 'plc', target: 'x', error, retryIn: 1 })
  events.emit('poll.timedOut', { client })
  events.emit('subscription.failed', { endpoint: 'plc', error, retryIn: 1 })
  events.emit('sink.retried', { step: 'store', attempt: 1, error, retryIn: 1 })
  events.emit('sink.deliveredLate', { step: 'store', messages: 3 })
  const [message] = createMessages([null], { source: testSource({ endpoint: 'plc' }) })
  events.emit('deadLetter.lost', { message: message!, error, cause: error })
  const text = await metrics.text()
  expect(text).toContain('sluice_dials_failed_total{endpoint="plc",reason="connection_refused"} 1\n')
  expect(text).toContain('sluice_polls_timed_out_total{endpoint="plc"} 1\n')
  expect(text).toContain('sluice_subscriptions_failed_total{endpoint="plc",reason="connection_refused"} 1\n')
  expect(text).toContain('sluice_sink_retries_total{step="store",reason="connection_refused"} 1\n')
  expect(text).toContain('sluice_sink_delivered_late_total{step="store"} 3\n')
  expect(text).toContain('sluice_dead_letters_lost_total{endpoint="plc",reason="connection_refused"} 1\n')
})

it('measures the process', async () => {
  const { metrics } = create([])
  const text = await metrics.text()
  const value = (name: string) => Number(new RegExp(`^${name} (.+)$`, 'm').exec(text)?.[1])
  expect(value('process_cpu_seconds_total')).toBeGreaterThan(0)
  expect(value('process_resident_memory_bytes')).toBeGreaterThan(1e6)
  expect(value('process_start_time_seconds')).toBeGreaterThan(1.7e9)
  // Where the system tells of open files, the three standard streams are among them.
  const known = existsSync('/proc/self/fd')
  expect(value('process_open_fds')).toBeGreaterThanOrEqual(known ? 3 : 0)
  expect(value('process_max_fds')).toBeGreaterThanOrEqual(value('process_open_fds'))
  expect(text).toMatch(/^sluice_event_loop_delay_seconds\{quantile="0\.99"\} [\d.e-]+$/m)
})

it('has exactly the metrics of the table, each with its type', async () => {
  const { metrics } = create([])
  const text = await metrics.text()
  const types = Object.fromEntries([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]))
  const expected = Object.fromEntries(Object.entries(metricTable).map(([name, { type }]) => [name, type]))
  expect(types).toEqual(expected)
})

it('two servers do not share their numbers', async () => {
  const counters = new EndpointCounters()
  counters.opened = 7
  create([{ name: 'a', kind: 'listen', counters, connections: 0 }])
  expect(await create([]).metrics.text()).not.toContain('endpoint="a"')
})

it('shows what the store of dead letters holds', async () => {
  const text = await create([], [], { letters: 3, bytes: 900, oldest: Date.now() - 60_000, expired: 2 }).metrics.text()
  expect(text).toContain('sluice_dead_letter_store_messages 3\n')
  expect(text).toContain('sluice_dead_letter_store_bytes 900\n')
  expect(text).toMatch(/^sluice_dead_letter_store_oldest_seconds 6\d\.?\d*$/m)
  expect(text).toContain('sluice_dead_letter_store_expired_total 2\n')
})

function create(
  endpoints: readonly ObservedEndpoint[],
  buffers: readonly BufferCounters[] = [],
  deadLetters?: DeadLetterCounters,
) {
  const events = createEvents((error) => {
    throw error
  })
  const metrics = createMetrics({ endpoints, buffers, deadLetters }, events)
  closers.push(metrics.close)
  return { metrics, events }
}
