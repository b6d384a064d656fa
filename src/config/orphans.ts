import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Storage } from '../contracts/storage.ts'
import { BUFFERS_FILE } from '../delivery/buffers-file.ts'
import type { DataFolder } from './data-folder.ts'
import { diskBuffersOf } from './diff.ts'
import type { Plan } from './planned.ts'
import type { World } from './world.ts'

/** Tells of what waits on disk for steps that a plan does not have (any more): nothing delivers it, so somebody has to know. */
export async function tellOfOrphans(plan: Plan, { storage, data, events }: World): Promise<void> {
  const steps = diskBuffersOf(plan)
  for (const waiting of await waitingIn(storage, data)) {
    if (!steps.has(waiting.step)) events.emit('buffer.orphaned', waiting)
  }
}

/** How many messages wait on disk, by the id of their step. */
async function waitingIn(
  storage: Storage,
  data: DataFolder,
): Promise<readonly { readonly step: string; readonly messages: number }[]> {
  const file = join(data.path, BUFFERS_FILE)
  if (!existsSync(file)) return []
  const database = await storage.open(file)
  try {
    const [table] = await database.all("SELECT name FROM sqlite_master WHERE name = 'entries'")
    if (table === undefined) return []
    const rows = await database.all('SELECT step, sum(messages) AS messages FROM entries GROUP BY step')
    return rows.map((row) => ({ step: String(row['step']), messages: Number(row['messages']) }))
  } finally {
    await database.close()
  }
}
