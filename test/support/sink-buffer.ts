import type { Batch } from '../../src/contracts/batch.ts'
import type { BufferCounters } from '../../src/contracts/counters.ts'
import type { BufferOptions } from '../../src/contracts/delivery.ts'
import { SluiceError } from '../../src/contracts/errors.ts'
import { createEvents, type EventName } from '../../src/contracts/events.ts'
import type { Outcomes, Sink } from '../../src/contracts/sink.ts'
import type { Delivery } from '../../src/delivery/deliverer.ts'
import { MemoryQueue } from '../../src/delivery/memory-queue.ts'
import type { RetryTiming } from '../../src/delivery/retry.ts'
import { SinkBuffer } from '../../src/delivery/sink-buffer.ts'
import { text } from '../../src/formats/text.ts'
import { createTestClock, type TestClock } from '../../src/testing/part-context.ts'

export const formatOf = () => text.create({ encoding: 'utf-8' })
export const down = new SluiceError('sink_unavailable', 'down', { retryable: true })
export const refused = new SluiceError('sink_failed', 'refused')

/** A buffer whose destination does what the test says. */
export function setUp(
  given: Partial<BufferOptions> & { timing?: RetryTiming; clock?: TestClock; hasRoom?: () => Promise<boolean> } = {},
  deliver: (texts: string[]) => void | Outcomes | Promise<void | Outcomes> = () => {},
) {
  const delivered: string[][] = []
  let changed = Promise.withResolvers<void>()
  const note = () => {
    changed.resolve()
    changed = Promise.withResolvers()
  }
  const sink: Sink & { closed: boolean } = {
    closed: false,
    async write(batch: Batch) {
      const texts = batch.messages.map(({ msg }) => String(msg))
      const outcomes = await deliver(texts)
      delivered.push(texts.filter((_, i) => outcomes?.[i] === undefined))
      note()
      return outcomes
    },
    close() {
      sink.closed = true
    },
  }
  const clock = given.clock ?? createTestClock()
  const queue = new MemoryQueue(clock)
  const events = createEvents((error) => {
    throw error
  })
  const told: EventName[] = []
  for (const name of ['buffer.filled', 'buffer.emptied', 'buffer.blocked', 'sink.retried'] as const) {
    events.on(name, () => {
      told.push(name)
      note()
    })
  }
  const counters: BufferCounters = {
    step: 'store',
    endpoint: 'test',
    kind: 'disk',
    messages: 0,
    bytes: 0,
    oldest: 0,
    stored: 0,
    delivered: 0,
    dropped: 0,
    failed: 0,
  }
  const failed: string[] = []
  const late = new AbortController()
  const timing: RetryTiming = given.timing ?? { now: () => clock.now(), wait: turn, random: () => 0.5 }
  const { timing: _timing, clock: _clock, hasRoom, ...options } = given
  const queueing = new SinkBuffer(queue, {
    counters,
    clock,
    events,
    late: late.signal,
    timing,
    ...(hasRoom && { hasRoom }),
  })
  const buffer: BufferOptions = { kind: 'disk', maxSize: 1 << 20, maxAge: 0, whenFull: 'wait', ...options }
  const delivery: Delivery = {
    sink,
    buffer,
    formatOf,
    retry: {
      forMs: 10_000,
      step: 'store',
      onRetry: (attempt, error, retryIn) => events.emit('sink.retried', { step: 'store', attempt, error, retryIn }),
    },
    settle(all) {
      failed.push(...all.map(({ message, error }) => `${message.msg}: ${error.code}`))
      note()
      return Promise.resolve(undefined)
    },
  }
  queueing.use(delivery)
  /** As the configuration puts them together. */
  const buffered: Sink = {
    write: (batch, over) => queueing.write(batch, buffer, over),
    async close() {
      await queueing.leave(delivery)
      await sink.close()
    },
  }
  const until = async (holds: () => boolean) => {
    while (!holds()) await Promise.race([changed.promise, turn()])
  }
  return {
    buffered,
    queueing,
    delivery,
    sink,
    queue,
    delivered,
    failed,
    told,
    counters,
    clock,
    late,
    until,
    all: () => delivered.flat(),
  }
}

export const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** A destination that is down until it is not. */
export function gate() {
  const opened = Promise.withResolvers<void>()
  return { open: opened.resolve, deliver: () => opened.promise }
}
