import { write, writeSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'

const writeSome = promisify(write)

/**
 * Writes lines to a file descriptor in the background, so that a reader who stands still holds nobody up. What has not
 * been written when the process exits is written then, perhaps before what was just being written. Lines that cannot be
 * written, because the reader has gone, are lost. Several processes may write into one pipe, as workers do: lines are not mixed.
 */
export class BackgroundWriter {
  readonly #fd: number
  #lines: string[] = []
  #waiting = 0
  /** Settles when all lines so far are written; never rejects. */
  #working: Promise<void> | undefined = undefined
  readonly #writeRest = (): void => {
    try {
      while (this.#lines.length > 0) {
        for (let rest = this.#portion(); rest.length > 0; ) rest = rest.subarray(writeSync(this.#fd, rest))
      }
    } catch {
      // Nobody is left who could be told.
    }
  }

  constructor(fd: number) {
    this.#fd = fd
    process.on('exit', this.#writeRest)
  }

  /** Bytes that have not been written yet. Whoever writes decides how many may be. */
  get waiting(): number {
    return this.#waiting
  }

  write(line: string): void {
    this.#lines.push(line)
    this.#waiting += Buffer.byteLength(line)
    this.#working ??= this.#work()
  }

  /** Resolves when nothing waits any more. */
  async flush(): Promise<void> {
    await this.#working
  }

  /** Flushes. Nothing may be written any more. */
  async close(): Promise<void> {
    await this.flush()
    process.removeListener('exit', this.#writeRest)
  }

  async #work(): Promise<void> {
    while (this.#lines.length > 0) {
      const bytes = this.#portion()
      // One that cannot be written is gone; the next may be, where a terminal has come back say.
      await writeAll(this.#fd, bytes).catch(() => {})
      this.#waiting -= bytes.length
    }
    this.#working = undefined
  }

  /** Takes the next lines, as many as a pipe takes at one go, at least one. */
  #portion(): Buffer {
    let size = 0
    let count = 0
    for (const line of this.#lines) {
      size += Buffer.byteLength(line)
      if (count > 0 && size > PIPE_BUF) break
      count++
    }
    return Buffer.from(this.#lines.splice(0, count).join(''))
  }
}

/** So many bytes of one call are never mixed with those of another process (write of POSIX.1-2017; pipe(7) for Linux). */
const PIPE_BUF = 4096

/** Milliseconds between two looks whether a pipe that is full takes more, where whoever made it has made it non-blocking. */
const LOOK_MS = 50

async function writeAll(fd: number, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    try {
      done += (await writeSome(fd, bytes, done, bytes.length - done, null)).bytesWritten
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'EAGAIN') throw thrown
      await delay(LOOK_MS)
    }
  }
}
