import type { Database } from '../contracts/storage.ts'

/**
 * Deletes the entries of a step that are settled: in the commit of what is added next, or some milliseconds later in one of
 * their own. After a crash in between they are delivered once more.
 */
export class Deletions {
  /** Up to this id everything is dealt with; what is left of it on disk is deleted with the next that is. */
  settled = 0
  readonly #step: string
  readonly #database: () => Promise<Database>
  /** Up to this id nothing is left on disk. */
  #deleted = 0
  /** Messages that are settled and not deleted, for a while. */
  #undeleted = 0
  #timer: NodeJS.Timeout | undefined = undefined

  /** @param database of the entries; it is open when something is to be deleted */
  constructor(step: string, database: () => Promise<Database>) {
    this.#step = step
    this.#database = database
  }

  /** Something that is settled is, or may be, on disk still. */
  get areDue(): boolean {
    return this.#deleted < this.settled
  }

  /**
   * @param messages of the entries up to this id that were not settled before
   * @param atOnce what is settled may wait for nothing
   */
  settle(upTo: number, messages: number, atOnce: boolean): void {
    this.settled = upTo
    this.#undeleted += messages
    if (this.#undeleted >= MOST_UNDELETED || atOnce) this.#soon()
    else this.#timer ??= setTimeout(() => this.#soon(), DELETE_WITHIN)
  }

  /** To be called before something is added: one commit is enough for both. */
  joinNext(): void {
    if (this.#undeleted > 0) this.#soon()
  }

  /** @throws SluiceError when it cannot be deleted */
  async now(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#undeleted = 0
    const database = await this.#database()
    const upTo = this.settled
    await database.write('DELETE FROM entries WHERE step = ? AND id <= ?', [[this.#step, upTo]])
    this.#deleted = upTo
  }

  /** What cannot be deleted now is deleted with the next; till then a crash would deliver it twice. */
  #soon(): void {
    void this.now().catch(() => {})
  }
}

/** So many settled messages, for so many milliseconds, wait at most for a commit that deletes them along with its own. */
const MOST_UNDELETED = 128
const DELETE_WITHIN = 10
