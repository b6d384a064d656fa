import type { Batch } from '../contracts/batch.ts'
import { type Codec, encodeEach } from '../contracts/codec.ts'
import type { PartContext } from '../contracts/context.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Format } from '../contracts/format.ts'
import type { Framing } from '../contracts/framing.ts'
import { formatOption, framingOption } from '../contracts/schema.ts'
import type { Outcomes, Sink } from '../contracts/sink.ts'
import { ByteWriter } from '../util/byte-writer.ts'

/** The options that every sink of bytes has. */
export const byteOptions = {
  format: formatOption().optional().describe("How a message is written. Default: the endpoint's format."),
  framing: framingOption().optional().describe('How messages are kept apart. Default: line.'),
}

interface ByteOptions {
  readonly format?: Format | undefined
  readonly framing?: Framing | undefined
}

/** Format and framing are those of the options, else what the context has. */
export function codecOf({ format, framing }: ByteOptions, context: PartContext): Codec {
  return { format: format ?? context.codec.format, framing: framing ?? context.lineFraming }
}

/** Where a sink of bytes writes to. */
export interface Destination {
  /**
   * Takes the bytes of one batch out of the writer, at once, in the order of the calls. They must not be changed before
   * the promise settles.
   * @throws SluiceError when the destination did not take them
   */
  take(out: ByteWriter): Promise<void>
  /** Called once, when everything taken has settled. */
  release(): Promise<void>
}

/** Writes messages as bytes: what the sinks file, stdout and tcp have in common. */
export class ByteSink implements Sink {
  readonly #codec: Codec
  readonly #destination: Destination
  /** Settles when everything written so far was taken, or has failed. */
  #begun: Promise<void> = Promise.resolve()
  #closed: Promise<void> | undefined

  constructor(options: ByteOptions, context: PartContext, destination: Destination) {
    this.#codec = codecOf(options, context)
    this.#destination = destination
  }

  async write(batch: Batch): Promise<void | Outcomes> {
    if (this.#closed !== undefined) throw new SluiceError('sink_failed', 'the sink is closed')
    const out = new ByteWriter()
    const outcomes = encodeEach(batch, this.#codec, out)
    if (!out.empty) {
      const taken = this.#destination.take(out)
      const before = this.#begun
      const after = () => before
      this.#begun = taken.then(after, after)
      await taken
    }
    return outcomes
  }

  close(): Promise<void> {
    this.#closed ??= this.#begun.then(() => this.#destination.release())
    return this.#closed
  }
}
