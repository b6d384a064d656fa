import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Envelope, WrittenError } from './protocol.ts'

/** The functions of a process that others may call, by name. */
// biome-ignore format: one line says it better
type Api = { readonly [Name in string]: (...args: never[]) => Promise<unknown> }

/** An end of a channel to another process: a `ChildProcess`, or `process` itself in a child. */
export interface ChannelEnd {
  readonly connected: boolean
  send?(
    message: unknown,
    handle: unknown,
    options: object | undefined,
    callback: (error: Error | null) => void,
  ): boolean
  on(event: 'message', listener: (message: unknown, handle: unknown) => void): unknown
  on(event: 'disconnect', listener: () => void): unknown
}

/** What is no call: connections that are handed over. */
export type Handover = Exclude<Envelope, { kind: 'ask' | 'answer' }>

/**
 * Calls to another process over the channel that Node.js gives to a child. What a call throws there it throws here.
 * @typeParam Theirs what may be called at the other end
 */
export class Channel<Theirs> {
  readonly #end: ChannelEnd
  readonly #mine: Api
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>()
  #last = 0

  /**
   * @param mine what the other end may call
   * @param onHandover told of connections; the handle is that of the socket
   */
  constructor(end: ChannelEnd, mine: object, onHandover: (message: Handover, handle: unknown) => void) {
    this.#end = end
    this.#mine = mine as Api
    end.on('message', (message, handle) => {
      const envelope = message as Envelope
      if (envelope.kind === 'ask') void this.#answer(envelope)
      else if (envelope.kind === 'answer') this.#settle(envelope)
      else onHandover(envelope, handle)
    })
    end.on('disconnect', () => {
      for (const { reject } of this.#waiting.values()) reject(gone())
      this.#waiting.clear()
    })
  }

  /**
   * Calls a function of the other process.
   * @throws SluiceError what it throws there; `internal` when that process has ended
   */
  ask<Name extends keyof Theirs & string>(
    name: Name,
    ...args: Theirs[Name] extends (...args: infer Args) => Promise<unknown> ? Args : never
  ): Promise<Theirs[Name] extends (...args: never[]) => Promise<infer Result> ? Result : never> {
    const id = ++this.#last
    const waiting = Promise.withResolvers<unknown>()
    this.#waiting.set(id, waiting)
    this.post({ kind: 'ask', id, name, args }).catch((error: unknown) => {
      this.#waiting.delete(id)
      waiting.reject(toSluiceError(error, 'internal'))
    })
    return waiting.promise as Promise<never>
  }

  /**
   * Sends something that nobody answers.
   * @param handle of a socket, which the other process gets a copy of
   * @returns resolves when the system has it; a process that dies behind that has said it
   */
  post(envelope: Envelope, handle?: unknown): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.#end.connected) return reject(gone())
      this.#end.send!(envelope, handle, undefined, (error) => (error === null ? resolve() : reject(error)))
    })
  }

  async #answer({ id, name, args }: Envelope & { kind: 'ask' }): Promise<void> {
    let answer: Envelope
    try {
      const result = await this.#mine[name]!(...(args as never[]))
      answer = { kind: 'answer', id, result }
    } catch (thrown) {
      answer = { kind: 'answer', id, error: written(thrown) }
    }
    // Whoever has asked may have ended meanwhile, or the result is nothing that can travel.
    await this.post(answer)
      .catch((thrown: unknown) => this.post({ kind: 'answer', id, error: written(thrown) }))
      .catch(() => undefined)
  }

  #settle({ id, result, error }: Envelope & { kind: 'answer' }): void {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (error === undefined) waiting?.resolve(result)
    else waiting?.reject(read(error))
  }
}

/** Said to people by the supervisor; a worker whose supervisor has gone has nobody to say it to. */
function gone(): SluiceError {
  return new SluiceError('internal', 'the worker has ended meanwhile', { retryable: true, hint: 'Try again.' })
}

function written(thrown: unknown): WrittenError {
  const { code, message, hint, retryable } = toSluiceError(thrown, 'internal')
  return { code, message, hint, retryable }
}

function read({ code, message, hint, retryable }: WrittenError): SluiceError {
  return new SluiceError(code, message, { retryable, ...(hint !== undefined && { hint }) })
}
