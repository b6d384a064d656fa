import { join } from 'node:path'
import type { Storage } from '../../src/contracts/storage.ts'
import { DiskQueue } from '../../src/delivery/disk-queue.ts'
import type { Entry, Queue } from '../../src/delivery/queue.ts'
import type { Suspicion } from '../../src/delivery/suspects.ts'
import { text } from '../../src/formats/text.ts'
import { createStorage } from '../../src/storage/storage.ts'
import { createTestClock } from '../../src/testing/part-context.ts'
import { temporaryFolder } from './server.ts'

const utf8 = text.create({ encoding: 'utf-8' })
export const formatOf = () => utf8

/** The file of disk queues, in a folder of its own, and what they have told. */
export class QueueFile implements AsyncDisposable {
  readonly #folder = temporaryFolder()
  readonly path = join(this.#folder.path, 'buffers.db')
  readonly clock = createTestClock()
  readonly damaged: string[] = []
  readonly suspected: Suspicion[] = []
  storage = createStorage()

  /** @param on a storage that does some calls in its own way */
  async open(step = 'store', on: Storage = this.storage): Promise<DiskQueue> {
    const queue = new DiskQueue(on, {
      file: this.path,
      step,
      clock: this.clock,
      onDamaged: (detail) => this.damaged.push(detail),
      onSuspected: (suspicion) => this.suspected.push(suspicion),
    })
    await queue.open()
    return queue
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.storage.close()
    this.#folder[Symbol.dispose]()
  }
}

export const textsOf = (entries: readonly Entry[]) =>
  entries.flatMap(({ batch }) => batch.messages.map(({ msg }) => msg))

/** The values of what is taken. */
export const take = async (queue: Queue, messages = 1000) => textsOf(await queue.take(messages, 1 << 20, formatOf))
