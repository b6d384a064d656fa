import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { BufferCounters } from '../contracts/counters.ts'
import type { BufferOptions } from '../contracts/delivery.ts'
import type { Events } from '../contracts/events.ts'
import type { Sink } from '../contracts/sink.ts'
import { BufferedSink, type BufferedSinkOptions } from '../delivery/buffered-sink.ts'
import { BUFFERS_FILE, DiskQueue } from '../delivery/disk-queue.ts'
import { MemoryQueue } from '../delivery/memory-queue.ts'
import type { Queue } from '../delivery/queue.ts'
import type { DataFolder } from './data-folder.ts'

/** What a buffer needs besides its sink and its options. */
export interface BufferSurroundings extends Omit<BufferedSinkOptions, 'buffer' | 'counters' | 'hasRoom'> {
  readonly step: string
  readonly endpoint: string
  readonly data: DataFolder
  readonly events: Events
  readonly formatOf: ConstructorParameters<typeof DiskQueue>[1]['formatOf']
  readonly storage: ConstructorParameters<typeof DiskQueue>[0]
}

/** A sink behind its buffer, and what the buffer counts. */
export interface Buffered {
  readonly sink: Sink
  readonly counters: BufferCounters
}

/**
 * Puts a buffer before a sink.
 * @throws SluiceError `storage_failed` when the file of a disk buffer cannot be opened, or another server uses it
 */
export async function createBuffered(sink: Sink, buffer: BufferOptions, around: BufferSurroundings): Promise<Buffered> {
  const { step, endpoint, clock, data } = around
  const counters: BufferCounters = {
    step,
    endpoint,
    kind: buffer.kind,
    messages: 0,
    bytes: 0,
    oldest: 0,
    stored: 0,
    delivered: 0,
    dropped: 0,
    failed: 0,
  }
  const options = { ...around, buffer, counters }
  if (buffer.kind === 'memory') {
    const queue = new MemoryQueue(clock)
    return { sink: closing(new BufferedSink(sink, queue, options), queue), counters }
  }
  data.lock()
  const { events, storage, formatOf } = around
  const queue = new DiskQueue(storage, {
    file: join(data.path, BUFFERS_FILE),
    step,
    formatOf,
    clock,
    onDamaged: (detail) => events.emit('buffer.damaged', { step, detail }),
  })
  await queue.open()
  const hasRoom = () => hasDiskRoom(data.path)
  return { sink: closing(new BufferedSink(sink, queue, { ...options, hasRoom }), queue), counters }
}

/** The buffer closes the sink; what it reads from is closed behind it. */
function closing(buffered: BufferedSink, queue: Queue): Sink {
  return {
    write: (batch) => buffered.write(batch),
    async close() {
      await buffered.close()
      await queue.close()
    },
  }
}

/** So much of a disk is left to others: 5 %, at most 1 GiB. */
async function hasDiskRoom(folder: string): Promise<boolean> {
  const { bavail, bsize, blocks } = await statfs(folder)
  return bavail * bsize > Math.min(1024 ** 3, blocks * bsize * 0.05)
}
