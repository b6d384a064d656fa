import { existsSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { folderOfSlot, slotsIn } from '../config/data-folder.ts'
import { diskBuffersOf } from '../config/diff.ts'
import type { Plan } from '../config/plan.ts'
import type { EventMap } from '../contracts/events.ts'
import { BUFFERS_FILE } from '../delivery/buffers-file.ts'
import { holdsNothing, moveEntries, stepsWaitingIn } from '../delivery/move-entries.ts'
import { lockFolder } from '../storage/folder-lock.ts'
import type { Connects } from './connects.ts'
import { dataDirOf } from './worker-plan.ts'

/**
 * Brings what waits in the data folder to the worker that delivers it: that of slots which are gone to the first, and that
 * of a `connect:` endpoint to the worker which dials it now. Before anything runs. It blocks.
 * @param tell called for each step whose messages have been moved
 * @throws SluiceError `storage_failed`, also when a server uses one of the folders
 */
export function adoptLeftovers(
  plan: Plan,
  connects: Connects,
  tell: (adopted: EventMap['buffer.adopted']) => void,
): void {
  const dir = dataDirOf(plan)
  const gone = slotsIn(dir).filter((slot) => slot > plan.workers)
  const owners = ownersOf(plan, connects)
  const moves = [1, ...slotsIn(dir)].flatMap((slot) =>
    stepsWaitingIn(bufferFile(dir, slot)).flatMap((step): Move[] => {
      // A step that nobody has any more is told of by the first worker, so that is where its messages go.
      const stays = owners.get(step) ?? (slot > plan.workers ? 1 : slot)
      return stays === slot ? [] : [{ step, slot, to: stays }]
    }),
  )
  if (moves.length === 0 && gone.length === 0) return
  const slots = new Set([...gone, ...moves.flatMap(({ slot, to }) => [slot, to])])
  const unlock: (() => void)[] = []
  try {
    for (const slot of slots) unlock.push(lockFolder(folderOfSlot(dir, slot)))
    for (const { step, slot, to } of moves) {
      const messages = moveEntries(bufferFile(dir, slot), bufferFile(dir, to), step)
      if (messages > 0) tell({ step, messages, from: folderOfSlot(dir, slot), to: folderOfSlot(dir, to) })
    }
    for (const slot of gone) removeEmpty(bufferFile(dir, slot))
  } finally {
    for (const release of unlock) release()
  }
  for (const slot of gone) removeFolder(folderOfSlot(dir, slot))
}

interface Move {
  readonly step: string
  readonly slot: number
  readonly to: number
}

/** The slots of steps that only one worker has: those of endpoints that dial. */
function ownersOf({ endpoints }: Plan, connects: Connects): ReadonlyMap<string, number> {
  const owned = endpoints.filter(({ kind }) => kind !== 'listen')
  const everywhere = diskBuffersOf({ endpoints: endpoints.filter(({ kind }) => kind === 'listen') })
  const pairs = owned.flatMap((endpoint) =>
    Array.from(diskBuffersOf({ endpoints: [endpoint] }), (step) => [step, connects.get(endpoint.name) ?? 1] as const),
  )
  return new Map(pairs.filter(([step]) => !everywhere.has(step)))
}

function bufferFile(dir: string, slot: number): string {
  return join(folderOfSlot(dir, slot), BUFFERS_FILE)
}

/** What was put aside as damaged stays, for people to look at. */
function removeEmpty(file: string): void {
  if (!existsSync(file) || !holdsNothing(file)) return
  for (const end of ['', '-wal', '-shm']) rmSync(file + end, { force: true })
}

/** Other files stay, such as keys of `dedupe`: as many workers may come back. */
function removeFolder(folder: string): void {
  try {
    for (const name of ['lock', 'lock.pid']) rmSync(join(folder, name), { force: true })
    rmdirSync(folder)
  } catch {
    // It is not empty.
  }
}
