import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../contracts/clock.ts'
import type { PartContext } from '../contracts/context.ts'
import type { BufferCounters } from '../contracts/counters.ts'
import type { Events } from '../contracts/events.ts'
import type { Sink } from '../contracts/sink.ts'
import type { Storage } from '../contracts/storage.ts'
import { BUFFERS_FILE } from '../delivery/buffers-file.ts'
import type { Delivery } from '../delivery/deliverer.ts'
import { DiskQueue } from '../delivery/disk-queue.ts'
import { MemoryQueue } from '../delivery/memory-queue.ts'
import { SinkBuffer } from '../delivery/sink-buffer.ts'
import type { Suspicion } from '../delivery/suspects.ts'
import type { DataFolder } from './data-folder.ts'

/** What a buffer needs besides its sink and its options. */
export interface BufferSurroundings {
  readonly step: string
  /** Name of the sink. */
  readonly name: string
  readonly endpoint: string
  readonly clock: Clock
  readonly events: Events
  readonly late: AbortSignal
  readonly data: DataFolder
  readonly storage: Storage
  readonly share: PartContext['share']
}

/** A sink behind its buffer, and what the buffer counts. */
export interface Buffered {
  readonly sink: Sink
  readonly counters: BufferCounters
  /** From now on this sink gets what waits; before, writes are stored and nothing more. */
  activate(): void
}

/**
 * Puts a buffer before a sink. A step has one buffer as long as the server runs: a reload puts another sink behind it, and
 * the uses of a shared dataflow, which have one id, deliver in one order.
 * @throws SluiceError `storage_failed` when the file of a disk buffer cannot be opened, or another server uses it
 */
export async function createBuffered(delivery: Delivery, around: BufferSurroundings): Promise<Buffered> {
  const { data, share, step, name } = around
  const { buffer, sink } = delivery
  if (buffer.kind === 'disk') data.lock()
  // A place in a dataflow is no name: what waits in memory there is only for a sink of the same kind.
  const key = buffer.kind === 'disk' ? `buffer ${step}` : `buffer in memory ${step} ${name}`
  const shared = share(key, () => new StepBuffer(buffer.kind, around))
  try {
    await shared.value.open()
  } catch (thrown) {
    await shared.release()
    throw thrown
  }
  const { queueing } = shared.value
  const leave = shared.value.enter(around.endpoint)
  return {
    counters: queueing.counters,
    activate: () => queueing.use(delivery),
    sink: {
      write: (batch, over) => queueing.write(batch, buffer, over),
      async close() {
        await queueing.leave(delivery)
        await sink.close()
        leave()
        await shared.release()
      },
    },
  }
}

/** The buffer of a step, whichever sinks use it. */
class StepBuffer {
  readonly queueing: SinkBuffer
  readonly #queue: MemoryQueue | DiskQueue
  /** One for each of its sinks. */
  #endpoints: readonly string[] = []

  constructor(kind: BufferCounters['kind'], around: BufferSurroundings) {
    const { step, clock, events, late } = around
    const none = { endpoint: '', messages: 0, bytes: 0, oldest: 0, stored: 0, delivered: 0, dropped: 0, failed: 0 }
    const options = { counters: { step, kind, ...none }, clock, events, late }
    if (kind === 'memory') {
      this.#queue = new MemoryQueue(clock)
      this.queueing = new SinkBuffer(this.#queue, options)
      return
    }
    const { data, storage } = around
    const onDamaged = (detail: string) => events.emit('buffer.damaged', { step, detail })
    const onSuspected = (suspicion: Suspicion) => events.emit('buffer.suspected', { step, ...suspicion })
    const queue = new DiskQueue(storage, { file: join(data.path, BUFFERS_FILE), step, clock, onDamaged, onSuspected })
    this.#queue = queue
    const hasRoom = async () => hasDiskRoom(data.path, await queue.reusable())
    this.queueing = new SinkBuffer(queue, { ...options, hasRoom })
  }

  /** An endpoint uses it. @returns what is to be called when it does no more */
  enter(endpoint: string): () => void {
    this.#use([...this.#endpoints, endpoint])
    return () => {
      const at = this.#endpoints.indexOf(endpoint)
      this.#use(this.#endpoints.toSpliced(at, 1))
    }
  }

  #use(endpoints: readonly string[]): void {
    this.#endpoints = endpoints
    this.queueing.counters.endpoint = [...new Set(endpoints)].sort().join(',')
  }

  async open(): Promise<void> {
    if (this.#queue instanceof DiskQueue) await this.#queue.open()
  }

  close(): Promise<void> {
    return this.#queue.close()
  }
}

/**
 * Whether a disk has room for a buffer: 5 % of it are left to others, at most 1 GiB, at least 16 MiB. When it has become
 * so full, only what our own file has free is used, and that only while its journal can still grow: without it nothing
 * can be written, not even that something was delivered.
 * @param reusable bytes that our file has and does not use
 */
async function hasDiskRoom(folder: string, reusable: number): Promise<boolean> {
  const { bavail, bsize, blocks } = await statfs(folder)
  const free = bavail * bsize
  const reserve = Math.max(LEAST_RESERVE, Math.min(1024 ** 3, blocks * bsize * 0.05))
  return free > reserve || (free > reserve / 2 && reusable > LEAST_REUSABLE)
}

const LEAST_RESERVE = 16 * 1024 * 1024
const LEAST_REUSABLE = 4 * 1024 * 1024
