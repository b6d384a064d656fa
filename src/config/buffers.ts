import { existsSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../contracts/clock.ts'
import type { DeadLetters, PartContext } from '../contracts/context.ts'
import type { BufferCounters, EndpointCounters } from '../contracts/counters.ts'
import { mutedSource } from '../contracts/detached-source.ts'
import type { Events } from '../contracts/events.ts'
import type { Failure } from '../contracts/failure.ts'
import type { Dataflow, Source } from '../contracts/message.ts'
import type { Sink } from '../contracts/sink.ts'
import type { Storage } from '../contracts/storage.ts'
import { BUFFERS_FILE } from '../delivery/buffers-file.ts'
import { countDeadLetters, createDeathNotice, createHooks } from '../delivery/burial.ts'
import type { Delivery, Undelivered } from '../delivery/deliverer.ts'
import { DiskQueue } from '../delivery/disk-queue.ts'
import { keepDeadLetter } from '../delivery/keep-dead-letter.ts'
import { MemoryQueue } from '../delivery/memory-queue.ts'
import { SinkBuffer } from '../delivery/sink-buffer.ts'
import type { Suspicion } from '../delivery/suspects.ts'
import { settleFailures } from '../engine/stages.ts'
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

/** Where what could not be delivered from a buffer goes, and where it is counted. */
export interface Aftermath {
  readonly onError: Dataflow | undefined
  readonly counters: EndpointCounters
}

/**
 * Takes care of what could not be delivered: the `onError` of its endpoint, else a dead letter. Answers are skipped and
 * counted, for they have been sent. What is on disk stays there until its dead letter is stored. A message that was refused
 * is not given to another destination that a reload brings: an `onError` may have had it by then.
 * @param aftermath of an endpoint: those of a shared dataflow have one buffer
 */
export function createSettle(
  { step, events }: Pick<BufferSurroundings, 'step' | 'events'>,
  kind: BufferCounters['kind'],
  deadLetters: DeadLetters,
  aftermath: (endpoint: string) => Aftermath,
): Delivery['settle'] {
  return async (failed, until) => {
    let unkept: number | undefined
    const entries = new Map<Source, number>()
    const keep = async ({ message, error, step: at }: Failure, letters: DeadLetters): Promise<void> => {
      const cause = await keepDeadLetter(letters, message, error, at, until)
      if (cause === undefined) return
      const entry = entries.get(message.source.origin ?? message.source) ?? failed[0]!.entry
      unkept = Math.min(entry, unkept ?? entry)
      if (kind === 'memory') events.emit('deadLetter.lost', { message, error, cause })
    }
    const byEndpoint = Map.groupBy(failed, ({ message }) => message.endpoint)
    await Promise.all(
      Array.from(byEndpoint, ([endpoint, its]) => {
        const { onError, counters } = aftermath(endpoint)
        const tell = createDeathNotice(counters, events)
        const letters = countDeadLetters(deadLetters, counters, events)
        const settle = (some: typeof its, handler: Dataflow | undefined) =>
          settleFailures(
            behindBuffer(some, step, counters, entries),
            handler,
            createHooks(counters, events),
            (failure) => {
              tell(failure)
              return keep(failure, letters)
            },
          )
        // What has killed the process might do so in an onError too.
        const { deadly = [], others = [] } = Object.groupBy(its, ({ error }) =>
          error.code === 'process_died' ? 'deadly' : 'others',
        )
        return Promise.all([settle(deadly, undefined), settle(others, onError)])
      }),
    )
    return unkept
  }
}

/**
 * As failures of the step, from sources that know that the steps behind it have had the messages.
 * @param entries is told which entry of the buffer a source belongs to
 */
function behindBuffer(
  failed: readonly Undelivered[],
  step: string,
  counters: EndpointCounters,
  entries: Map<Source, number>,
): Failure[] {
  const skipped = () => {
    counters.repliesLost++
  }
  const sources = new Map<Source, Source>()
  return failed.map(({ message, error, entry }) => {
    const source = sources.get(message.source) ?? { ...mutedSource(message.source, skipped), buffer: step }
    sources.set(message.source, source)
    entries.set(source, entry)
    return { message: message.from(source), error, step }
  })
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
    const [table] = await database.all("SELECT name FROM sqlite_master WHERE name = 'entries'")
    if (table === undefined) return []
    const rows = await database.all('SELECT step, sum(messages) AS messages FROM entries GROUP BY step')
    const waiting = rows.map((row) => ({ step: String(row['step']), messages: Number(row['messages']) }))
    return waiting.filter(({ step }) => !steps.has(step))
  } finally {
    await database.close()
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
