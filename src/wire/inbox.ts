import type { SluiceError } from '../contracts/errors.ts'
import { whenAborted } from '../util/signals.ts'
import { timedOut } from './client-errors.ts'
import type { WaitOptions } from './link.ts'
import { toMilliseconds } from './within.ts'

/**
 * Messages that answer no request, until somebody reads them. It is bounded: whoever fills it looks at `isFull`, stops, and
 * goes on when `onRoom` is called.
 */
export class Inbox<In> {
  /** Called when half of what was too much has been read. */
  onRoom: (() => void) | undefined = undefined
  readonly #entries: Entry<In>[] = []
  readonly #readers: Reader<In>[] = []
  #bytes = 0
  #ended = false
  #error: SluiceError | undefined = undefined

  /** How many messages wait. */
  get size(): number {
    return this.#entries.length
  }

  get isFull(): boolean {
    return this.#entries.length > MAX_MESSAGES || this.#bytes > MAX_BYTES
  }

  /** @param bytes length of its frame */
  push(message: In, bytes: number): void {
    const reader = this.#readers.shift()
    if (reader !== undefined) {
      reader.settle(message)
      return
    }
    this.#entries.push({ message, bytes })
    this.#bytes += bytes
  }

  /** A message that could not be read: the reader gets the error in its place. */
  pushError(error: SluiceError): void {
    const reader = this.#readers.shift()
    if (reader === undefined) this.#entries.push({ error, bytes: 0 })
    else reader.fail(error)
  }

  /**
   * @returns the next message; undefined at the end
   * @throws SluiceError what made a message unreadable, why the connection broke, or `request_timeout`; the reason of the signal
   */
  receive({ timeout = 0, signal }: WaitOptions): Promise<In | undefined> {
    const entry = this.#entries.shift()
    if (entry !== undefined) {
      this.#bytes -= entry.bytes
      if (this.#entries.length <= MAX_MESSAGES / 2 && this.#bytes <= MAX_BYTES / 2) this.onRoom?.()
      return entry.error === undefined ? Promise.resolve(entry.message) : Promise.reject(entry.error)
    }
    if (this.#error !== undefined) return Promise.reject(this.#error)
    return this.#ended ? Promise.resolve(undefined) : this.#wait(timeout, signal)
  }

  async *read(): AsyncIterableIterator<In> {
    for (let message = await this.receive({}); message !== undefined; message = await this.receive({})) yield message
  }

  /** Nothing more will arrive. @param error why, if that was no clean end */
  end(error: SluiceError | undefined): void {
    if (this.#ended) return
    this.#ended = true
    this.#error = error
    for (const reader of this.#readers.splice(0)) {
      if (error === undefined) reader.settle(undefined)
      else reader.fail(error)
    }
  }

  /** Gives everything that waits to another one. */
  moveTo(other: Inbox<In>): void {
    for (const entry of this.#entries.splice(0)) {
      if (entry.error !== undefined) other.pushError(entry.error)
      else other.push(entry.message, entry.bytes)
    }
    this.#bytes = 0
  }

  async #wait(timeout: WaitOptions['timeout'], signal: AbortSignal | undefined): Promise<In | undefined> {
    const time = toMilliseconds(timeout ?? 0)
    signal?.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<In | undefined>()
    const reader: Reader<In> = { settle: resolve, fail: reject }
    const giveUp = (error: unknown) => {
      const index = this.#readers.indexOf(reader)
      if (index === -1) return
      this.#readers.splice(index, 1)
      reject(error)
    }
    const timer = time === 0 ? undefined : setTimeout(() => giveUp(timedOut(`no message came within ${time} ms`)), time)
    this.#readers.push(reader)
    const forget = signal && whenAborted(signal, () => giveUp(signal.reason))
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      forget?.()
    }
  }
}

type Entry<In> =
  | { readonly message: In; readonly bytes: number; readonly error?: undefined }
  | { readonly error: SluiceError; readonly bytes: number }

interface Reader<In> {
  settle(message: In | undefined): void
  fail(error: unknown): void
}

/** Messages that may wait. */
const MAX_MESSAGES = 1024

/** The same, as bytes of their frames. */
const MAX_BYTES = 1024 * 1024
