import { Batch } from '../contracts/batch.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { givenUp, type Outcomes, type Sink } from '../contracts/sink.ts'
import type { Database } from '../contracts/storage.ts'
import { type Entry, type Guard, placeOf } from './queue.ts'

/** So often the process must have died with the same entry at the head of a buffer before its messages are suspected. */
export const DEATHS = 3

/** Why messages are suspected, when a buffer is opened. */
export interface Suspicion {
  /** How often in a row the process has died with the same entry at the head. */
  readonly deaths: number
  /** Messages that were being delivered alone when it died. */
  readonly blamed: number
}

/**
 * Finds the message of a disk buffer that kills the process when it is delivered: a sink of the user may do so, or a native
 * client. Without this the server would die at each start for ever.
 *
 * ```
 *   start ─▶ was the last end clean? ── yes ─▶ deliver as always
 *               └─ no: the head is the same for the 3rd time, or a mark was left ─▶ one by one:
 *                      mark, synced ─▶ sink ─▶ remove the mark          a mark that was left ─▶ `process_died`
 * ```
 * A row in `runs` says that a run has begun and not ended, with the head that it found. It is written once at a start and
 * removed at a clean end, so all this costs nothing in between. A row in `suspects` is a mark; one that is there at a start
 * was there when the process died.
 */
export class Suspects implements Guard {
  /** Whether what waits first is to be delivered one by one, and why; undefined in a usual start. */
  readonly suspicion: Suspicion | undefined
  readonly #database: Database
  readonly #step: string
  /** Entries up to this id are suspected: with more than these no delivery begins. */
  readonly #upTo: number
  /** The last entry that was there when the run before had died; 0 when it has ended well. */
  readonly #lastAtDeath: number
  readonly #blamed: ReadonlySet<string>
  /** Marks of this run: messages that are being delivered. */
  readonly #marks = new Map<string, Place>()

  private constructor(database: Database, step: string, found: Found) {
    this.#database = database
    this.#step = step
    this.#upTo = found.upTo
    this.#lastAtDeath = found.lastAtDeath
    this.#blamed = found.blamed
    const { deaths } = found
    if (deaths >= DEATHS || found.blamed.size > 0) this.suspicion = { deaths, blamed: found.blamed.size }
  }

  /**
   * Looks how the run before has ended, and notes that another has begun.
   * @param step whose entries are looked at
   * @param window messages of one delivery at most: the one that kills is among them
   * @throws SluiceError `storage_failed`
   */
  static async open(database: Database, step: string, window: number): Promise<Suspects> {
    await database.exec(CREATE)
    const [entries] = await database.all(HEAD, [window, step])
    const [run] = await database.all('SELECT head, deaths FROM runs WHERE step = ?', [step])
    const marks = await database.all(MARKS, [step])
    const head = Number(entries!['head'] ?? 0)
    const before = run === undefined || Number(run['head']) !== head ? 0 : Number(run['deaths'])
    const deaths = run === undefined || head === 0 ? 0 : before + 1
    const [failed] = await database.write('INSERT OR REPLACE INTO runs (step, head, deaths) VALUES (?, ?, ?)', [
      [step, head, deaths],
    ])
    if (failed !== undefined) throw failed
    const blamed = new Set(marks.map(({ entry, place }) => keyOf([Number(entry), Number(place)])))
    const upTo = Number(entries!['last'] ?? 0)
    const lastAtDeath = run === undefined ? 0 : Number(entries!['end'] ?? 0)
    return new Suspects(database, step, { deaths, blamed, upTo, lastAtDeath })
  }

  /** Whether there may be suspects behind this entry. */
  isBehind(id: number): boolean {
    return this.suspicion !== undefined && id < this.#upTo
  }

  /**
   * Whether this run delivers what may have killed the one before. What it has got through must then be off the disk
   * before it goes on: were that still the head at the next start, the death would be counted against it.
   * @param id of the entry that was taken last
   */
  isAfterDeath(id: number): boolean {
    return id < this.#lastAtDeath
  }

  /** A sink that gives another the messages of an entry one by one, each marked while it is under way. */
  guard(sink: Sink, entry: Entry): Sink {
    const places = new Map(entry.batch.messages.map((message, i) => [message, placeOf(entry, i)]))
    return {
      write: (batch, over) =>
        this.#writeEach(sink, batch.messages, (message) => [entry.id, places.get(message)!], over),
      close: () => sink.close(),
    }
  }

  /** This run ends, and not by what it delivers. */
  async close(): Promise<void> {
    await Promise.all([
      ...Array.from(this.#marks.values(), (mark) => this.#unmark(mark)),
      this.#database.write('DELETE FROM runs WHERE step = ?', [[this.#step]]),
      this.#database.write(FORGET, [[this.#step]]),
    ])
  }

  async #writeEach(
    sink: Sink,
    messages: readonly Message[],
    placeOf: (message: Message) => Place,
    over: AbortSignal | undefined,
  ): Promise<Outcomes> {
    const outcomes: (SluiceError | undefined)[] = []
    /** Why the rest is tried later: what is behind a message that is tried again does not overtake it. */
    let later: SluiceError | undefined
    let unmarked = Promise.resolve()
    for (const message of messages) {
      const place = placeOf(message)
      if (over?.aborted) later ??= givenUp()
      if (this.#blamed.has(keyOf(place))) outcomes.push(died(this.#step))
      else if (later !== undefined) outcomes.push(later)
      else {
        const error = await this.#writeOne(sink, message, place, over)
        // Committed together with the next mark, or below.
        unmarked = this.#unmark(place)
        outcomes.push(error)
        if (error?.retryable) later = error
      }
    }
    // One that is left over would blame a message that may wait for long now.
    await unmarked
    return outcomes
  }

  async #writeOne(
    sink: Sink,
    message: Message,
    place: Place,
    over: AbortSignal | undefined,
  ): Promise<SluiceError | undefined> {
    try {
      await this.#mark(place)
    } catch (thrown) {
      // The disk is to blame, not the message.
      const { message: text } = toSluiceError(thrown)
      return new SluiceError('storage_failed', text, { cause: thrown, retryable: true })
    }
    try {
      return (await sink.write(Batch.of([message]), over))?.[0]
    } catch (thrown) {
      return toSluiceError(thrown, 'sink_failed')
    }
  }

  async #mark(place: Place): Promise<void> {
    this.#marks.set(keyOf(place), place)
    const [failed] = await this.#database.write(MARK, [[this.#step, ...place]])
    if (failed !== undefined) throw failed
  }

  /** A mark that cannot be removed now is removed at a clean end. */
  async #unmark(place: Place): Promise<void> {
    try {
      await this.#database.write('DELETE FROM suspects WHERE entry = ? AND place = ?', [place])
      this.#marks.delete(keyOf(place))
    } catch {}
  }
}

interface Found {
  readonly deaths: number
  readonly blamed: ReadonlySet<string>
  readonly upTo: number
  readonly lastAtDeath: number
}

/** A message: the id of its entry, and where it stands in it, for an entry has the messages of many writes. */
type Place = readonly [entry: number, index: number]

function keyOf(place: Place): string {
  return place.join(' ')
}

function died(step: string): SluiceError {
  return new SluiceError('process_died', `the server died when ${step} delivered this message alone`, {
    hint: 'Find out what in it the destination of this step cannot take before you let it be tried again.',
  })
}

const CREATE = `
  CREATE TABLE IF NOT EXISTS runs (step TEXT PRIMARY KEY, head INTEGER NOT NULL, deaths INTEGER NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS suspects (
    step TEXT NOT NULL, entry INTEGER NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (entry, place)
  ) STRICT`
/** The first entry of a step, the last one that a delivery can begin with at that place, and the last of all. */
const HEAD = `
  SELECT min(id) AS head, max(id) FILTER (WHERE before < ?) AS last, max(id) AS end
  FROM (SELECT id, sum(messages) OVER (ORDER BY id) - messages AS before FROM entries WHERE step = ?)`
const MARKS = 'SELECT entry, place FROM suspects JOIN entries ON entries.id = entry WHERE suspects.step = ?'
const MARK = 'INSERT OR REPLACE INTO suspects (step, entry, place) VALUES (?, ?, ?)'
const FORGET = 'DELETE FROM suspects WHERE step = ? AND entry NOT IN (SELECT id FROM entries)'
