import { Batch } from '../contracts/batch.ts'
import type { PartContext } from '../contracts/context.ts'
import type { Dataflow, Failures } from '../contracts/dataflow.ts'
import { defineStep, scopeOption } from '../contracts/define.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import { type KeptAnswer, keysFileOf } from '../contracts/key-file.ts'
import type { Message, Source } from '../contracts/message.ts'
import { duration, z } from '../contracts/schema.ts'
import type { Step } from '../contracts/step.ts'
import { formatDuration } from '../util/units.ts'
import { KeyStore } from './dedupe-keys.ts'
import { AnswerRecorder, type Recording } from './dedupe-recorder.ts'

/** Lets each message through once. */
export const dedupe = defineStep({
  name: 'dedupe',
  summary: 'Recognises a message that is sent again, answers it as the first time, and lets it go no further.',
  details:
    'A message is known by the `key:` of its endpoint. Its key is recorded when the steps behind this one have finished ' +
    'with it, together with what they answered. Another message with that key, from whatever client of the endpoint, ' +
    'then ends here: it gets the same answers, and counts as dropped. It goes through `else` where there is one.\n\n' +
    'The order is: delivered, then recorded on disk, then answered. So the answers of a message leave together, when all ' +
    'steps have finished with it: a question that an `expect` waits for is asked with `request`. After a crash between delivery and record the sender has no answer; what it sends ' +
    'again is delivered again. A message that fails is not recorded, also where an `onError` takes it. One that is sent ' +
    'again while the first is under way waits for it, and is tried in its turn if the first fails.\n\n' +
    'The step needs an `id`, under which the keys are kept in the data folder. It stands in the dataflow of the endpoint ' +
    'itself, usually first. What steps before it do is done for each repeat. A message without a key always goes on. ' +
    'More in the [guide](../../guide/delivery-and-failures.md#when-a-device-sends-again).',
  options: z.strictObject({
    window: duration()
      .prefault('24h')
      .describe('How long a key is known after its message has finished. Default: 24h.'),
    maxKeys: z
      .int()
      .min(1)
      .max(10_000_000)
      .default(1_000_000)
      .describe('Most keys that are known; beyond it the oldest are forgotten. Default: 1000000.'),
    ...scopeOption,
  }),
  alsoCalled: ['unique', 'distinct', 'deduplicate'],
  examples: [
    {
      title: 'A device that has missed its answer sends again',
      endpoint: { key: 'msg.id' },
      config: { dedupe: {}, id: 'once', else: [{ reply: 'again' }] },
      given: [{ id: 7 }, { id: 8 }, { id: 7 }],
      gives: [{ id: 7 }, { id: 8 }],
      replies: ['again'],
    },
  ],
  answers: true,
  drops: true,
  persists: true,
  coversRest: true,
  holdsAnswers: true,
  spansConnections: true,
  needsKey: true,
  promise: ({ window, maxKeys }) =>
    `lets each key through once: a message with a key that has finished within ${formatDuration(window)} (of the last ` +
    `${maxKeys}) ends here with the answers of the first; answers leave when the key is on disk; what has failed is tried again`,
  async create({ window, maxKeys }, context) {
    const file = context.dataPath(keysFileOf(context.id))
    // The same for all endpoints that use a shared dataflow, and for the dataflows before and after a reload.
    const keys = context.share(`dedupe ${file}`, () => new KeyStore(context.storage, file))
    try {
      await keys.value.open()
    } catch (thrown) {
      await keys.release()
      throw thrown
    }
    return new Dedupe(keys.value, { window, maxKeys, close: () => keys.release() }, context)
  },
})

interface Bounds {
  /** Milliseconds. */
  readonly window: number
  readonly maxKeys: number
  close(): Promise<void>
}

class Dedupe implements Step {
  readonly #keys: KeyStore
  readonly #bounds: Bounds
  readonly #context: PartContext
  readonly #recorders = new WeakMap<Source, AnswerRecorder>()

  constructor(keys: KeyStore, bounds: Bounds, context: PartContext) {
    this.#keys = keys
    this.#bounds = bounds
    this.#context = context
  }

  /**
   * In rounds: each takes the messages whose key nobody else has in hand, and gives the keys back before it waits for
   * those of others. So no two runs ever wait for each other.
   */
  async runAround(batch: Batch, rest: Dataflow, failures: Failures): Promise<Batch> {
    const passed: Batch[] = []
    let left = batch.messages.map((message) => this.#identify(message))
    while (left.length > 0) {
      const mine: Candidate[] = []
      const others: Candidate[] = []
      for (const one of left) {
        const isFree = one.key === undefined || this.#keys.claim(one.key)
        const list = isFree ? mine : others
        list.push(one)
      }
      try {
        passed.push(await this.#round(mine, rest, failures))
      } finally {
        for (const { key } of mine) if (key !== undefined) this.#keys.release(key)
      }
      if (others.length > 0) await this.#keys.released(others[0]!.key!)
      left = others
    }
    return Batch.merge(passed)
  }

  close(): Promise<void> {
    return this.#bounds.close()
  }

  #identify(message: Message): Candidate {
    const { givenKey, part } = message
    if (givenKey === '') return { message, key: undefined, wholes: [] }
    const identify = (text: string) => this.#keys.identify(this.#context.endpoint, givenKey + text)
    const wholes: string[] = []
    for (let end = part.length; end > 0; ) {
      end = part.lastIndexOf('.', end - 1)
      wholes.push(identify(part.slice(0, end)))
    }
    return { message, key: identify(part), wholes }
  }

  /** Sorts out the repeats and takes the others to their end. */
  async #round(mine: readonly Candidate[], rest: Dataflow, failures: Failures): Promise<Batch> {
    const asked = mine.flatMap(({ key, wholes }) => (key === undefined ? [] : [key, ...wholes]))
    const since = this.#context.clock.now() - this.#bounds.window
    const known = await this.#keys.find(asked, since).catch((thrown: unknown) => toSluiceError(thrown))
    const fresh: Candidate[] = []
    for (const one of mine) {
      const { message, key, wholes } = one
      if (key === undefined) {
        fresh.push(one)
      } else if (known instanceof SluiceError) {
        // Whether it is a repeat is not known. The sender has no answer, and can send it again.
        failures.add(message, known)
      } else {
        const answers = [key, ...wholes].map((each) => known.get(each)).find((found) => found !== undefined)
        if (answers === undefined) fresh.push(one)
        else repeat(message, answers, failures)
      }
    }
    return fresh.length === 0 ? NOTHING : this.#deliver(fresh, rest, failures)
  }

  async #deliver(fresh: readonly Candidate[], rest: Dataflow, failures: Failures): Promise<Batch> {
    const recorded: Recorded[] = []
    const messages = fresh.map(({ message, key }) => {
      const recorder = this.#recorderOf(message.source)
      if (key !== undefined) recorded.push({ message, key, recorder, recording: recorder.begin(message.sequence) })
      return message.from(recorder)
    })
    const watched: Failures = {
      signal: failures.signal,
      add(message, error, step) {
        message.source.failed?.(message.sequence)
        failures.add(message, error, step)
      },
    }
    try {
      return await rest.run(Batch.of(messages), watched)
    } catch (thrown) {
      for (const { recording } of recorded) recording.failed = true
      throw thrown
    } finally {
      await this.#finish(recorded, failures)
    }
  }

  /** Records what has finished well, and when that is on disk, lets the answers go. */
  async #finish(recorded: readonly Recorded[], failures: Failures): Promise<void> {
    for (const { message, recorder } of recorded) recorder.end(message.sequence)
    // Of several messages that a step made of one, the first has the answers of all.
    const firsts = new Map<Recording, Recorded>()
    for (const one of recorded) if (!firsts.has(one.recording)) firsts.set(one.recording, one)
    const entries = recorded
      .filter(({ recording }) => !recording.failed)
      .map((one) => ({ key: one.key, answers: firsts.get(one.recording) === one ? one.recording.answers : [] }))
    try {
      await this.#keys.record(entries, { ...this.#bounds, now: this.#context.clock.now() })
    } catch (thrown) {
      // They are delivered, so the answers are true. Only a repeat of them will not be recognised.
      const { message } = toSluiceError(thrown)
      this.#context.log('error', `${entries.length} keys could not be kept, so a repeat is not recognised: ${message}`)
    }
    for (const [{ answers }, { message }] of firsts) answer(message, answers, failures)
  }

  #recorderOf(source: Source): AnswerRecorder {
    let recorder = this.#recorders.get(source)
    if (recorder === undefined) {
      recorder = new AnswerRecorder(source, this.#context.codec)
      this.#recorders.set(source, recorder)
    }
    return recorder
  }
}

interface Candidate {
  readonly message: Message
  /** Undefined when it has none, and so cannot be known again. */
  readonly key: string | undefined
  /** The keys of those of which steps have made it: a retry may bring a part of a message that was sent again whole. */
  readonly wholes: readonly string[]
}

/** A message that is on its way to the end, and what is known of it. */
interface Recorded {
  readonly message: Message
  readonly key: string
  readonly recorder: AnswerRecorder
  readonly recording: Recording
}

/** A message that has been here before ends, with the answers of the first. */
function repeat(message: Message, answers: readonly KeptAnswer[], failures: Failures): void {
  if (answer(message, answers, failures)) failures.drop?.(message)
}

/** @returns false when an answer cannot be given: the message has then failed */
function answer(message: Message, answers: readonly KeptAnswer[], failures: Failures): boolean {
  try {
    for (const { kind, content } of answers) message.source.reply(message.sequence, kind, content)
    return true
  } catch (thrown) {
    failures.add(message, toSluiceError(thrown))
    return false
  }
}

const NOTHING: Batch = Batch.of<unknown>([])
