import { resolve } from 'node:path'
import type { Clock } from '../contracts/clock.ts'
import type { Events } from '../contracts/events.ts'
import type { Storage } from '../contracts/storage.ts'
import { DeadLetterStore } from '../delivery/dead-letters.ts'
import { createStorage } from '../storage/storage.ts'
import { DataFolder, requireDataFolder } from './data-folder.ts'
import type { Plan } from './planned.ts'
import type { Wiring } from './planned-server.ts'

/** What a server keeps on disk: its folder, the databases in it and the dead letters. */
export class ServerFiles {
  readonly storage: Storage
  readonly data: DataFolder
  /** Undefined where others stand in. */
  readonly deadLetters: DeadLetterStore | undefined

  /** @param signal aborted when nothing may be waited for any more */
  constructor(
    plan: Plan,
    wiring: Pick<Wiring, 'ownFolder' | 'deadLetters'>,
    { events, clock, signal }: { readonly events: Events; readonly clock: Clock; readonly signal: AbortSignal },
  ) {
    const folder = resolve(plan.baseDir, plan.data.dir)
    this.data = new DataFolder(wiring.ownFolder ?? folder)
    this.storage = createStorage({ own: folder })
    if (wiring.deadLetters !== undefined) return
    this.deadLetters = new DeadLetterStore(this.storage, folder, {
      ...plan.data.deadLetters,
      events,
      now: clock.now,
      signal,
    })
  }

  /** @throws SluiceError `storage_failed` when dead letters cannot be kept */
  async open(): Promise<void> {
    if (this.deadLetters === undefined) return
    requireDataFolder(this.data.path)
    await this.deadLetters.open()
  }

  async close(): Promise<void> {
    await this.deadLetters?.close()
    await this.storage.close()
    this.data.unlock()
  }
}
