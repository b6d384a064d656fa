import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Counter, Gauge, type MetricObjectWithValues, type MetricValue, Registry } from 'prom-client'
import type {
  BufferCounters,
  DeadLetterCounters,
  EndpointCounters,
  Observed,
  ObservedEndpoint,
} from '../contracts/counters.ts'
import type { Events } from '../contracts/events.ts'
import { type MetricName, metricTable } from './metric-table.ts'
import { countOpenFiles, readOpenFilesLimit } from './open-files.ts'

export interface Metrics {
  /** The value of the Content-Type header that goes with the text. */
  readonly contentType: string
  /** Everything, in Prometheus' text format. Counters are read at this moment. */
  text(): Promise<string>
  /** The same as a value that can be sent to another process, which adds it to others: `addMetrics`. */
  values(): Promise<MetricValues>
  /** Stops measuring. */
  close(): void
}

export type MetricValues = readonly MetricObjectWithValues<MetricValue<string>>[]

/**
 * Metrics of a server. They cost nothing between two scrapes: the engine counts in plain numbers, which are read when
 * somebody asks. Only what has no counter there, all of it rare, is counted from events.
 */
export function createMetrics(source: Observed, events: Pick<Events, 'on'>): Metrics {
  const registry = new Registry()
  for (const [name, values] of Object.entries(FROM_COUNTERS) as [MetricName, Values][]) {
    addFromCounters(registry, name, () => source.endpoints.flatMap((observed) => samplesOf(observed, values(observed))))
  }
  for (const [name, value] of Object.entries(FROM_BUFFERS) as [MetricName, (buffer: BufferCounters) => number][]) {
    const sample = (buffer: BufferCounters): Sample => [{ step: buffer.step, endpoint: buffer.endpoint }, value(buffer)]
    addFromCounters(registry, name, () => source.buffers.map(sample))
  }
  for (const [name, value] of Object.entries(FROM_DEAD_LETTERS) as [
    MetricName,
    (kept: DeadLetterCounters) => number,
  ][]) {
    addFromCounters(registry, name, () => (source.deadLetters === undefined ? [] : [[{}, value(source.deadLetters)]]))
  }
  addFromCounters(registry, 'sluice_device_connected', () =>
    source.endpoints.flatMap(({ name: endpoint, devices = [] }) =>
      devices.map(({ id, connected }): Sample => [{ endpoint, device: id }, Number(connected)]),
    ),
  )
  addFromCounters(registry, 'sluice_upstream_up', () =>
    source.endpoints.flatMap(({ name: endpoint, upstreams = [] }) =>
      upstreams.map(({ name: upstream, up }): Sample => [{ endpoint, upstream }, Number(up)]),
    ),
  )
  addFromCounters(registry, 'sluice_answers_compared_total', () =>
    source.endpoints.flatMap(({ name: endpoint, counters }) =>
      Array.from(counters.compared, ([result, times]): Sample => [{ endpoint, result }, times]),
    ),
  )
  addFromCounters(registry, 'sluice_workers', () => (source.workers === undefined ? [] : [[{}, source.workers]]))
  const unsubscribe = addFromEvents(registry, events)
  const stopDelay = addProcess(registry)
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    values: () => registry.getMetricsAsJSON(),
    close: () => {
      for (const stop of unsubscribe) stop()
      stopDelay()
    },
  }
}

/** The value of an endpoint, or a value for each reason. */
type Values = (endpoint: ObservedEndpoint) => number | ReadonlyMap<string, number>

const count = (name: Exclude<keyof EndpointCounters, symbol>): Values => {
  return ({ counters }) => counters[name]
}

const FROM_COUNTERS = {
  sluice_connections: ({ connections }) => connections,
  sluice_connections_opened_total: count('opened'),
  sluice_connections_closed_total: count('closed'),
  sluice_connections_refused_total: count('refused'),
  sluice_bytes_received_total: count('bytesIn'),
  sluice_bytes_sent_total: count('bytesOut'),
  sluice_messages_received_total: count('messagesIn'),
  sluice_messages_sent_total: count('messagesOut'),
  sluice_messages_dropped_total: count('dropped'),
  sluice_messages_failed_total: count('failed'),
  sluice_frames_rejected_total: count('rejected'),
  sluice_dead_letters_total: count('deadLetters'),
  sluice_missing_values_total: count('missingValues'),
  sluice_missing_keys_total: count('missingKeys'),
  sluice_sends_skipped_total: count('sendsSkipped'),
  sluice_reads_paused_total: count('readsPaused'),
  sluice_replies_lost_total: count('repliesLost'),
  sluice_queued_bytes: count('queuedBytes'),
} as const satisfies Partial<Record<MetricName, Values>>

const FROM_BUFFERS = {
  sluice_buffer_messages: ({ messages }) => messages,
  sluice_buffer_bytes: ({ bytes }) => bytes,
  sluice_buffer_oldest_seconds: ({ oldest }) => secondsSince(oldest),
  sluice_buffer_stored_total: ({ stored }) => stored,
  sluice_buffer_delivered_total: ({ delivered }) => delivered,
  sluice_buffer_failed_total: ({ failed }) => failed,
  sluice_buffer_dropped_total: ({ dropped }) => dropped,
} as const satisfies Partial<Record<MetricName, (buffer: BufferCounters) => number>>

const FROM_DEAD_LETTERS = {
  sluice_dead_letter_store_messages: ({ letters }) => letters,
  sluice_dead_letter_store_bytes: ({ bytes }) => bytes,
  sluice_dead_letter_store_oldest_seconds: ({ oldest }) => secondsSince(oldest),
  sluice_dead_letter_store_expired_total: ({ expired }) => expired,
} as const satisfies Partial<Record<MetricName, (kept: DeadLetterCounters) => number>>

/** @param time milliseconds since 1970; 0 for none */
function secondsSince(time: number): number {
  return time === 0 ? 0 : Math.max(0, Date.now() - time) / 1000
}

type Sample = readonly [labels: Record<string, string>, value: number]

function samplesOf({ name: endpoint }: ObservedEndpoint, value: ReturnType<Values>): Sample[] {
  if (typeof value === 'number') return [[{ endpoint }, value]]
  return Array.from(value, ([reason, times]) => [{ endpoint, reason }, times])
}

function addFromCounters(registry: Registry, name: MetricName, samples: () => readonly Sample[]): void {
  const { type, labels, help, together } = metricTable[name]
  const shared = { name, help, labelNames: [...labels], aggregator: together, registers: [registry] }
  if (type === 'gauge') {
    new Gauge({
      ...shared,
      collect() {
        this.reset()
        for (const [of, value] of samples()) this.set(of, value)
      },
    })
  } else {
    new Counter({
      ...shared,
      collect() {
        this.reset()
        for (const [of, value] of samples()) this.inc(of, value)
      },
    })
  }
}

function addFromEvents(registry: Registry, events: Pick<Events, 'on'>): (() => void)[] {
  const counter = (name: MetricName) => {
    const { help, labels } = metricTable[name]
    return new Counter({ name, help, labelNames: [...labels], registers: [registry] })
  }
  const dials = counter('sluice_dials_failed_total')
  const subscriptions = counter('sluice_subscriptions_failed_total')
  const skipped = counter('sluice_schedule_runs_skipped_total')
  const polls = counter('sluice_polls_timed_out_total')
  const retries = counter('sluice_sink_retries_total')
  const late = counter('sluice_sink_delivered_late_total')
  const lost = counter('sluice_dead_letters_lost_total')
  const restarts = counter('sluice_worker_restarts_total')
  return [
    events.on('worker.exited', ({ worker }) => restarts.inc({ worker })),
    events.on('dial.failed', ({ endpoint, error }) => dials.inc({ endpoint, reason: error.code })),
    events.on('subscription.failed', ({ endpoint, error }) => subscriptions.inc({ endpoint, reason: error.code })),
    events.on('schedule.skipped', ({ endpoint }) => skipped.inc({ endpoint })),
    events.on('poll.timedOut', ({ client }) => polls.inc({ endpoint: client.endpoint })),
    events.on('sink.retried', ({ step, error }) => retries.inc({ step, reason: error.code })),
    events.on('sink.deliveredLate', ({ step, messages }) => late.inc({ step }, messages)),
    events.on('deadLetter.lost', ({ message, error }) => lost.inc({ endpoint: message.endpoint, reason: error.code })),
  ]
}

const RESOLUTION_MS = 20

/** @returns a function that stops measuring the event loop */
function addProcess(registry: Registry): () => void {
  const gauge = (name: MetricName, value: () => number) => {
    const { help, together } = metricTable[name]
    new Gauge({
      name,
      help,
      aggregator: together,
      registers: [registry],
      collect() {
        this.set(value())
      },
    })
  }
  gauge('process_resident_memory_bytes', () => process.memoryUsage.rss())
  gauge('process_open_fds', countOpenFiles)
  gauge('process_max_fds', readOpenFilesLimit)
  gauge('process_start_time_seconds', () => performance.timeOrigin / 1000)
  new Counter({
    name: 'process_cpu_seconds_total',
    help: metricTable.process_cpu_seconds_total.help,
    registers: [registry],
    collect() {
      const { user, system } = process.cpuUsage()
      this.reset()
      this.inc((user + system) / 1_000_000)
    },
  })

  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  const name = 'sluice_event_loop_delay_seconds'
  new Gauge({
    name,
    help: metricTable[name].help,
    labelNames: [...metricTable[name].labels],
    aggregator: metricTable[name].together,
    registers: [registry],
    collect() {
      for (const quantile of [0.5, 0.99, 1]) {
        // Node measures the time between two ticks of a timer, so an idle loop shows the timer's own interval.
        const milliseconds = delay.count === 0 ? 0 : delay.percentile(quantile * 100) / 1e6 - RESOLUTION_MS
        this.set({ quantile: String(quantile) }, Math.max(0, milliseconds) / 1000)
      }
      delay.reset()
    },
  })
  return () => delay.disable()
}
