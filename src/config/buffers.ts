import { existsSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { PartContext } from '../contracts/context.ts'
import type { BufferCounters } from '../contracts/counters.ts'
import type { BufferOptions } from '../contracts/delivery.ts'
import type { Sink } from '../contracts/sink.ts'
import type { Storage } from '../contracts/storage.ts'
import { BufferedSink, type BufferedSinkOptions } from '../delivery/buffered-sink.ts'
import { BUFFERS_FILE, DiskQueue } from '../delivery/disk-queue.ts'
import { MemoryQueue } from '../delivery/memory-queue.ts'
import type { DataFolder } from './data-folder.ts'

/** What a buffer needs besides its sink and its options. */
export interface BufferSurroundings extends Omit<BufferedSinkOptions, 'buffer' | 'counters' | 'hasRoom'> {
  readonly step: string
  readonly endpoint: string
  readonly data: DataFolder
  readonly storage: Storage
  readonly share: PartContext['share']
}

/** A sink behind its buffer, and what the buffer counts. */
export interface Buffered {
  readonly sink: Sink
  readonly counters: BufferCounters
}

/**
 * Puts a buffer before a sink. What is on disk has one queue for its step as long as the server runs: after a reload the
 * new sink goes on reading where the old one ends, and steps of a shared dataflow, which have one id, deliver in one order.
 * @throws SluiceError `storage_failed` when the file of a disk buffer cannot be opened, or another server uses it
 */
export async function createBuffered(sink: Sink, buffer: BufferOptions, around: BufferSurroundings): Promise<Buffered> {
  const { clock, data, share, step } = around
  if (buffer.kind === 'memory') {
    const counters = createCounters(buffer, around)
    const queue = new MemoryQueue(clock)
    return { sink: new BufferedSink(sink, queue, { ...around, buffer, counters }), counters }
  }
  data.lock()
  const shared = share(`buffer ${step}`, () => new StepBuffer(createCounters(buffer, around), around))
  const { queue, counters } = shared.value
  try {
    await queue.open()
  } catch (thrown) {
    await shared.release()
    throw thrown
  }
  const buffered = new BufferedSink(sink, queue, { ...around, buffer, counters, hasRoom: () => hasDiskRoom(data.path) })
  return {
    counters,
    sink: {
      write: (batch) => buffered.write(batch),
      async close() {
        await buffered.close()
        await shared.release()
      },
    },
  }
}

/** The disk buffer of a step, whichever sinks use it. */
class StepBuffer {
  readonly counters: BufferCounters
  readonly queue: DiskQueue

  constructor(counters: BufferCounters, { data, storage, clock, events, step }: BufferSurroundings) {
    this.counters = counters
    this.queue = new DiskQueue(storage, {
      file: join(data.path, BUFFERS_FILE),
      step,
      clock,
      onDamaged: (detail) => events.emit('buffer.damaged', { step, detail }),
    })
  }

  close(): Promise<void> {
    return this.queue.close()
  }
}

function createCounters({ kind }: BufferOptions, { step, endpoint }: BufferSurroundings): BufferCounters {
  const none = { messages: 0, bytes: 0, oldest: 0, stored: 0, delivered: 0, dropped: 0, failed: 0 }
  return { step, endpoint, kind, ...none }
}

/**
 * What waits on disk for steps that the configuration does not have (any more).
 * @param steps ids of those that have a disk buffer
 */
export async function findOrphans(
  storage: Storage,
  data: DataFolder,
  steps: ReadonlySet<string>,
): Promise<readonly { readonly step: string; readonly messages: number }[]> {
  const file = join(data.path, BUFFERS_FILE)
  if (!existsSync(file)) return []
  const database = await storage.open(file)
  try {
    const rows = await database.all('SELECT step, sum(messages) AS messages FROM entries GROUP BY step')
    const waiting = rows.map((row) => ({ step: String(row['step']), messages: Number(row['messages']) }))
    return waiting.filter(({ step }) => !steps.has(step))
  } finally {
    await database.close()
  }
}

/** So much of a disk is left to others: 5 %, at most 1 GiB. */
async function hasDiskRoom(folder: string): Promise<boolean> {
  const { bavail, bsize, blocks } = await statfs(folder)
  return bavail * bsize > Math.min(1024 ** 3, blocks * bsize * 0.05)
}
