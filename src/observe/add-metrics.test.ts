import { expect, it } from 'vitest'
import { EndpointCounters } from '../contracts/counters.ts'
import { createEvents } from '../contracts/events.ts'
import { addMetrics, addMetricsAsText, countersOf } from './add-metrics.ts'
import { createMetrics, type MetricValues } from './metrics.ts'

async function measure(opened: number, connections: number, oldest: number): Promise<MetricValues> {
  const counters = new EndpointCounters()
  counters.opened = opened
  counters.closed.set('client_closed', opened - connections)
  const deadLetters = { letters: 3, bytes: 30, oldest, expired: opened }
  const endpoints = [{ name: 'e', kind: 'listen' as const, counters, connections }]
  const metrics = createMetrics(
    { endpoints, buffers: [], deadLetters },
    createEvents(() => expect.fail('a listener has failed')),
  )
  try {
    return await metrics.values()
  } finally {
    metrics.close()
  }
}

it('adds what processes have counted, and takes the largest of what they share', async () => {
  const parts = [await measure(5, 2, 1), await measure(7, 3, 1)]
  const text = await addMetricsAsText(parts)
  expect(text).toContain('sluice_connections_opened_total{endpoint="e"} 12\n')
  expect(text).toContain('sluice_connections_closed_total{endpoint="e",reason="client_closed"} 7\n')
  expect(text).toContain('sluice_connections{endpoint="e"} 5\n')
  expect(text).toContain('sluice_dead_letter_store_messages 3\n')
  expect(text).toContain('sluice_dead_letter_store_expired_total 12\n')
  expect(text).toMatch(/^process_start_time_seconds \d+\.?\d*$/m)
})

it('keeps the counters of a process that is gone, and nothing else of it', async () => {
  const gone = countersOf(await measure(5, 2, 1))
  const again = await addMetrics([gone, countersOf(await measure(1, 0, 1))])
  const text = await addMetricsAsText([await measure(7, 3, 1), again])
  expect(text).toContain('sluice_connections_opened_total{endpoint="e"} 13\n')
  expect(text).toContain('sluice_connections{endpoint="e"} 3\n')
})

it('adds nothing to nothing', async () => {
  expect(await addMetricsAsText([[], []])).toBe('\n')
})
