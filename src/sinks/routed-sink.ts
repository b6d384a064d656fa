import { Batch } from '../contracts/batch.ts'
import { type Codec, encodeEach } from '../contracts/codec.ts'
import { type SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import type { Outcomes, Sink } from '../contracts/sink.ts'
import { ByteWriter } from '../util/byte-writer.ts'
import { OpenWrites } from './open-writes.ts'

/** Several destinations, of which each message has one. */
export interface Routes<Key> {
  /**
   * Where a message goes.
   * @throws SluiceError when it can go nowhere: it has then failed, alone
   */
  keyOf(message: Message): Key
  /** Where all messages of a batch go, when that is seen without looking at each. */
  keyOfAll?(batch: Batch): Key | undefined
  /**
   * Takes the bytes of some messages, in the order of the calls. They must not be changed before the promise settles.
   * @throws SluiceError when the destination did not take them
   */
  take(key: Key, out: ByteWriter): Promise<void>
  /** Called once, when everything taken has settled. */
  release(): Promise<void>
}

/** Writes messages as bytes to one of several destinations. What fails at one does not concern the messages of another. */
export class RoutedSink<Key> implements Sink {
  readonly #codec: Codec
  readonly #routes: Routes<Key>
  readonly #writes = new OpenWrites()

  constructor(codec: Codec, routes: Routes<Key>) {
    this.#codec = codec
    this.#routes = routes
  }

  write(batch: Batch): Promise<Outcomes> {
    return this.#writes.run(async () => {
      const outcomes = new Array<SluiceError | undefined>(batch.length).fill(undefined)
      await Promise.all(this.#parts(batch, outcomes).map((part) => this.#writePart(part, outcomes)))
      return outcomes
    })
  }

  close(): Promise<void> {
    return this.#writes.close(() => this.#routes.release())
  }

  /** @param outcomes receives the errors of messages that go nowhere */
  #parts(batch: Batch, outcomes: (SluiceError | undefined)[]): Part<Key>[] {
    const key = this.#routes.keyOfAll?.(batch)
    if (key !== undefined) return [{ key, batch, positions: [...outcomes.keys()] }]
    const positions = new Map<Key, number[]>()
    for (const [position, message] of batch.messages.entries()) {
      try {
        const to = this.#routes.keyOf(message)
        const others = positions.get(to)
        if (others === undefined) positions.set(to, [position])
        else others.push(position)
      } catch (thrown) {
        outcomes[position] = toSluiceError(thrown, 'sink_failed')
      }
    }
    return Array.from(positions, ([to, some]) => ({
      key: to,
      batch: Batch.of(some.map((position) => batch.messages[position]!)),
      positions: some,
    }))
  }

  async #writePart({ key, batch, positions }: Part<Key>, outcomes: (SluiceError | undefined)[]): Promise<void> {
    const out = new ByteWriter()
    const refused = encodeEach(batch, this.#codec, out)
    const failure = out.empty ? undefined : await this.#routes.take(key, out).then(none, toFailure)
    for (const [i, position] of positions.entries()) outcomes[position] = refused?.[i] ?? failure
  }
}

/** The messages of a batch that go to one destination. */
interface Part<Key> {
  readonly key: Key
  readonly batch: Batch
  readonly positions: readonly number[]
}

function none(): undefined {
  return undefined
}

function toFailure(thrown: unknown): SluiceError {
  return toSluiceError(thrown, 'sink_failed')
}
