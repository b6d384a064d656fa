import { Batch } from '../contracts/batch.ts'
import { type Codec, encodeEach } from '../contracts/codec.ts'
import type { Shared } from '../contracts/context.ts'
import { type SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Outcomes, Sink } from '../contracts/sink.ts'
import { ByteWriter } from '../util/byte-writer.ts'
import { OpenWrites } from './open-writes.ts'
import type { SingleShots } from './single-shots.ts'

/** Sends each message by itself. */
export class SingleShotSink implements Sink {
  readonly #codec: Codec
  readonly #shared: Shared<SingleShots>
  readonly #writes = new OpenWrites()

  constructor(codec: Codec, shared: Shared<SingleShots>) {
    this.#codec = codec
    this.#shared = shared
  }

  /** When one message cannot be sent, those behind it are not tried: they would overtake it. */
  write(batch: Batch, over?: AbortSignal): Promise<Outcomes> {
    return this.#writes.run(async () => {
      const outcomes: (SluiceError | undefined)[] = []
      let down: SluiceError | undefined
      for (const message of batch.messages) {
        const out = new ByteWriter()
        const refused = encodeEach(Batch.of([message]), this.#codec, out)?.[0]
        if (refused === undefined && down === undefined) {
          await this.#shared.value.send(out.take(), over).catch((thrown) => {
            down = toSluiceError(thrown, 'sink_failed')
          })
        }
        outcomes.push(refused ?? down)
      }
      return outcomes
    })
  }

  close(): Promise<void> {
    return this.#writes.close(() => this.#shared.release())
  }
}
