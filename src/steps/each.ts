import { Batch } from '../contracts/batch.ts'
import type { Dataflow, Failures } from '../contracts/dataflow.ts'
import { defineStep } from '../contracts/define.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { ErrorInfo, Message, Source } from '../contracts/message.ts'
import { dataflow, type Expression, expr, z } from '../contracts/schema.ts'
import { Turns } from '../util/turns.ts'
import { keyName, withResult } from './into.ts'

/** Takes the items of a list through a dataflow. */
export const each = defineStep({
  name: 'each',
  summary: 'Takes each item of a list inside a message through a dataflow; then the message goes on.',
  details: [
    'Inside, `msg` is the item. What it needs of the message around it goes into the items: ' +
      '`list: \'msg.items.map(item, merge(item, {"order": msg.id}))\'`. The items of all messages that are ready go through ' +
      'together, in their order and at most 1000 at a time, so a sink writes them in one go. Each has a key of its own, ' +
      'the key of the message and its place in the list.',
    'The message goes on when all its items have come to their end, whatever came out of them; an item may also be ' +
      'dropped. With `collect` it gets what came out, as a list. When an item fails, and no `onError` of a step inside ' +
      'takes it, the message has failed; the other items have gone their way all the same, and go it again when the ' +
      'message is retried.',
    'An empty list is no error; a value that is no list is one. Where the list may be missing, write ' +
      '`default(msg.items, [])`. Inside, `raw` are the bytes of the whole message, and a `reply` answers its sender.',
  ].join('\n\n'),
  options: z.strictObject({
    list: expr().describe('The list: an expression, such as msg.items.'),
    dataflow: dataflow().describe('The steps for each item, or the name of an entry of `dataflows:`.'),
    collect: keyName
      .optional()
      .describe('The key of `msg` that takes what came out of the dataflow, as a list. Default: it ends there.'),
  }),
  alsoCalled: ['foreach', 'for', 'loop', 'items', 'unnest', 'explode', 'split'],
  examples: [
    {
      title: 'Answer for each item',
      config: { each: { list: 'msg.items', dataflow: [{ reply: '${msg.id}' }] } },
      given: [{ items: [{ id: 1 }, { id: 2 }] }, { items: [] }],
      gives: [{ items: [{ id: 1 }, { id: 2 }] }, { items: [] }],
      replies: ['1', '2'],
    },
    {
      title: 'Collect what comes out',
      config: { each: { list: 'msg.kg', dataflow: [{ filter: 'msg > 0' }, { map: 'msg * 1000' }], collect: 'grams' } },
      given: [{ kg: [1.5, 0, 2] }],
      gives: [{ kg: [1.5, 0, 2], grams: [1500, 2000] }],
    },
  ],
  afterInner: () => 'whole',
  create({ list, dataflow: flow, collect }) {
    const turns = new Turns()
    return {
      runBatch(batch, failures) {
        const run = new Run(batch, list, failures, collect)
        const first = run.next(flow)
        return first === undefined && run.isOver ? run.settle() : runOthers(first, run, flow, turns)
      },
    }
  },
})

/** Items that are made and given to the dataflow together. */
const MAX_BATCH = 1000

/** A message, and what has become of its items. */
interface Whole {
  readonly message: Message
  readonly items: readonly unknown[]
  readonly results: { readonly at: number; readonly value: unknown }[]
  failure:
    | { readonly error: SluiceError; readonly step: string | undefined; readonly handled: ErrorInfo | undefined }
    | undefined
}

interface Place {
  readonly whole: Whole
  /** Where in its list it stands. */
  readonly at: number
}

/**
 * The items of one batch. They are made when it is their turn, and it knows of whatever the dataflow makes of an item, while
 * that is in it, to which message that belongs.
 */
class Run implements Failures {
  readonly signal: AbortSignal | undefined
  readonly #failures: Failures
  readonly #collect: string | undefined
  readonly #wholes: Whole[] = []
  /** The message whose items come next, and the first of them that has not been made. */
  #whole = 0
  #at = 0
  /** By sequence and part. Messages that an earlier step has made of one may share both, and then share their fate. */
  readonly #places = new Map<Source, Map<string, Place[]>>()

  constructor(batch: Batch, list: Expression, failures: Failures, collect: string | undefined) {
    this.#failures = failures
    this.#collect = collect
    this.signal = failures.signal
    for (const message of batch.messages) {
      try {
        this.#wholes.push({ message, items: itemsOf(list(message)), results: [], failure: undefined })
      } catch (thrown) {
        failures.add(message, toSluiceError(thrown, 'expression_failed'))
      }
    }
  }

  /** There are no more items. */
  get isOver(): boolean {
    return this.#whole === this.#wholes.length
  }

  /** Takes the next items through the dataflow. @returns a promise where they have to wait */
  next(flow: Dataflow): Promise<void> | undefined {
    this.#places.clear()
    const items = this.#nextItems()
    if (items.length === 0) return undefined
    const result = flow.run(Batch.of(items), this)
    if (result instanceof Promise) return result.then((ended) => this.#take(ended))
    this.#take(result)
    return undefined
  }

  /** An item has failed. */
  add(message: Message, error: SluiceError, step?: string): void {
    const places = this.#find(message)
    // Whatever it is, it must not pass as if nothing had happened.
    if (places.length === 0) this.#failures.add(message, error, step)
    for (const { whole } of places) whole.failure ??= { error, step, handled: message.error }
  }

  /** @returns the messages that go on */
  settle(): Batch {
    const collect = this.#collect
    const passed: Message[] = []
    for (const { message, results: found, failure } of this.#wholes) {
      if (failure === undefined)
        passed.push(collect === undefined ? message : withResult(message, collect, inOrder(found)))
      else {
        // A message gets one chance in an onError: one that an item has had counts for it.
        const { error, step, handled } = failure
        this.#failures.add(handled === undefined ? message : message.withError(handled), error, step)
      }
    }
    return Batch.of(passed)
  }

  #nextItems(): readonly Message[] {
    const items: Message[] = []
    while (!this.isOver && items.length < MAX_BATCH) {
      const whole = this.#wholes[this.#whole]!
      const end = Math.min(whole.items.length, this.#at + MAX_BATCH - items.length)
      for (; this.#at < end; this.#at++) {
        const item = whole.message.with(whole.items[this.#at]).asPart(this.#at)
        items.push(item)
        this.#note(item, { whole, at: this.#at })
      }
      if (end < whole.items.length) break
      this.#whole++
      this.#at = 0
    }
    return items
  }

  #note(item: Message, place: Place): void {
    const ofSource = this.#places.get(item.source) ?? new Map<string, Place[]>()
    this.#places.set(item.source, ofSource)
    const name = nameOf(item.sequence, item.part)
    const known = ofSource.get(name)
    if (known === undefined) ofSource.set(name, [place])
    else known.push(place)
  }

  /** Takes what has come out of the dataflow. */
  #take({ messages }: Batch): void {
    if (this.#collect === undefined) return
    for (const message of messages) {
      for (const { whole, at } of this.#find(message)) whole.results.push({ at, value: message.msg })
    }
  }

  /** A step inside may have made several of an item: what they are called begins as the item is called. */
  #find({ source, sequence, part }: Message): readonly Place[] {
    const ofSource = this.#places.get(source)
    for (let rest = part; rest !== '' && ofSource !== undefined; rest = rest.slice(0, rest.lastIndexOf('.'))) {
      const found = ofSource.get(nameOf(sequence, rest))
      if (found !== undefined) return found
    }
    return []
  }
}

function itemsOf(list: unknown): readonly unknown[] {
  if (Array.isArray(list)) return list
  const what = list === null || list === undefined ? 'there is no list' : 'the value is no list'
  throw new SluiceError('step_failed', `each: ${what}`, { hint: 'Where it may be missing write default(…, []).' })
}

/** After each batch it is the turn of others: a list may be as long as a message, and nobody else is served meanwhile. */
async function runOthers(first: Promise<void> | undefined, run: Run, flow: Dataflow, turns: Turns): Promise<Batch> {
  await first
  while (!run.isOver) {
    await turns.next()
    await run.next(flow)
  }
  return run.settle()
}

function inOrder(results: Whole['results']): unknown[] {
  return results.sort((a, b) => a.at - b.at).map(({ value }) => value)
}

function nameOf(sequence: number, part: string): string {
  return sequence + part
}
