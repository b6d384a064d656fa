import type { Writable } from 'node:stream'
import { defineSink } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import { z } from '../contracts/schema.ts'
import { ByteSink, byteOptions } from './byte-sink.ts'

/** Writes messages to the standard output of the process. */
export const stdout = defineSink({
  name: 'stdout',
  alsoCalled: ['console', 'print'],
  summary: 'Writes each message to standard output.',
  details:
    'What is written here can be piped into another program. While that program does not read, the sink waits, and so do ' +
    'the senders. With several `workers` each of them writes: when the pipe is full, the rest of more than 4096 bytes may stand ' +
    "behind another worker's. Where that matters, use `file`, or one worker.",
  options: z.strictObject(byteOptions),
  examples: [
    { title: 'As lines in the format of the endpoint', config: { stdout: {} } },
    { title: 'As JSON', config: { stdout: { format: 'json' } } },
  ],
  confirms: () => 'os',
  finished: 'the operating system took the bytes',
  create(options, context) {
    const shared = context.share('stdout', () => new StreamOutput(process.stdout))
    return new ByteSink(options, context, {
      take: (out) => shared.value.write(out.take()),
      release: () => shared.release(),
    })
  },
})

/** Writes to a stream that belongs to somebody else: `close` leaves it open. */
export class StreamOutput {
  readonly #stream: Writable

  constructor(stream: Writable) {
    this.#stream = stream
    stream.on('error', this.#ignore)
  }

  /**
   * Resolves when the operating system took the bytes; behind a slow reader that is after the drain.
   * @throws SluiceError `sink_failed`
   */
  write(bytes: Buffer): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#stream.write(bytes, (error) => {
      if (error) reject(new SluiceError('sink_failed', `cannot write to stdout: ${error.message}`, { cause: error }))
      else resolve()
    })
    return promise
  }

  close(): void {
    this.#stream.off('error', this.#ignore)
  }

  /** The write that failed reports the error; without a listener the stream would end the process as well. */
  readonly #ignore = (): void => {}
}
