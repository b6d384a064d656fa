import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Delivery, Receiver } from '../../src/contracts/subscription.ts'
import { type Config, createRegistry, defineSubscription, SluiceError, type StepEntry, z } from '../../src/index.ts'
import { type Running, start, temporaryFolder } from '../support/server.ts'

/** A broker in the program itself: a subscription of a user's own. */
class Broker {
  receiver: Receiver | undefined = undefined
  /** Ids in the order in which they were settled. */
  readonly settled: string[] = []
  readonly answers: string[] = []
  stops = 0
  closes = 0
  #count = 0
  readonly definition = defineSubscription({
    name: 'mine',
    summary: 'Takes messages of the program itself.',
    options: z.strictObject({ place: z.string().default('here').describe('Where.') }),
    examples: [],
    guarantees: () => 'at least once',
    inWords: ({ place }) => `messages from ${place}`,
    acknowledges: () => 'it is remembered',
    identifies: () => true,
    create: () => ({
      start: (receiver) => {
        this.receiver = receiver
        receiver.opened({ ip: '/mine', port: 0 })
      },
      stop: async () => void this.stops++,
      close: async () => void this.closes++,
    }),
  })

  delivery(text: string, id = String(++this.#count)): Delivery {
    return {
      payload: Buffer.from(text),
      topic: 'mine/topic',
      id,
      reply: (payload) => this.answers.push(payload.toString()) > 0,
      settle: () => this.settled.push(id),
    }
  }

  give(...texts: string[]): void {
    this.receiver!.take(texts.map((text) => this.delivery(text)))
  }
}

async function startWith(broker: Broker, entry: object, rest: object = {}): Promise<Running> {
  const config = { subscribe: { commands: { mine: {}, ...entry } }, ...rest } as unknown as Config
  return start(config, { registry: createRegistry().add(broker.definition) })
}

/** Remembers what comes to it. */
function collector() {
  const came: string[] = []
  const step = (msg: string) => {
    came.push(msg)
    return msg
  }
  return { came, step: step as StepEntry }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate)
}

describe('a subscription', () => {
  it('settles every message once and in order, however they come', async () => {
    const broker = new Broker()
    const { came, step } = collector()
    await using _running = await startWith(broker, { dataflow: [step] })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(fc.string(), { maxLength: 5 }), { maxLength: 8 }), async (takes) => {
        came.length = 0
        broker.settled.length = 0
        const deliveries = takes.map((texts) => texts.map((text) => broker.delivery(text)))
        for (const some of deliveries) {
          broker.receiver!.take(some)
          if (some.length % 2 === 0) await new Promise(setImmediate)
        }
        await until(() => broker.settled.length === takes.flat().length)
        expect(came).toEqual(takes.flat())
        expect(broker.settled).toEqual(deliveries.flat().map(({ id }) => id))
      }),
      { numRuns: 30 },
    )
  })

  it('shows topic, key, endpoint, raw and client to expressions', async () => {
    const broker = new Broker()
    const text = '${topic} ${key} ${endpoint} ${client.id} ${client.ip} ${raw} ${event} ${msg.a}'
    await using _running = await startWith(broker, { format: 'json', dataflow: [{ reply: { text } }] })
    broker.give('{"a":1}')
    await until(() => broker.settled.length === 1)
    expect(broker.answers).toEqual(['mine/topic 1 commands commands /mine {"a":1} message 1'])
  })

  it.each([true, false])('shows the topic to a script (inline: %j)', async (inline) => {
    const broker = new Broker()
    using folder = temporaryFolder()
    const script = join(folder.path, 'topic.mjs')
    writeFileSync(script, 'export default (msg, { topic }) => `${msg} ${topic}`')
    await using _running = await startWith(broker, {
      dataflow: [{ script: { file: script, inline } }, { reply: '${msg}' }],
    })
    broker.give('a')
    await until(() => broker.settled.length === 1)
    expect(broker.answers).toEqual(['a mine/topic'])
  })

  it('answers with text, value and raw, without a framing', async () => {
    const broker = new Broker()
    const dataflow = [{ reply: 'a\n${msg.a}' }, { reply: { value: 'msg' } }, { reply: { raw: '\\x00' } }]
    await using running = await startWith(broker, { format: 'json', dataflow })
    broker.give('{"a":1}')
    await until(() => broker.settled.length === 1)
    expect(broker.answers).toEqual(['a\n1', '{"a":1}', '\u0000'])
    const { counters } = running.server.endpoints[0]!
    expect(counters).toMatchObject({ messagesIn: 1, messagesOut: 3, bytesIn: 7, bytesOut: 11 })
  })

  it('loses an answer that comes after the run, and says so', async () => {
    const broker = new Broker()
    const { promise, resolve } = Promise.withResolvers<void>()
    const slow = (async (msg: string) => {
      await promise
      return msg
    }) as StepEntry
    const dataflow = [{ dataflow: [slow, { reply: 'late' }], timeout: '20ms' }]
    await using running = await startWith(broker, { dataflow })
    broker.give('a')
    await until(() => broker.settled.length === 1)
    resolve()
    expect(await running.event('reply.lost')).toMatchObject({ late: true })
    expect(broker.answers).toEqual([])
    expect(running.server.endpoints[0]!.counters.repliesLost).toBe(1)
  })

  it('loses an answer that the broker cannot take, and says so', async () => {
    const broker = new Broker()
    await using running = await startWith(broker, { dataflow: [{ reply: 'a' }] })
    broker.receiver!.take([{ ...broker.delivery('a'), reply: () => false }])
    expect(await running.event('reply.lost')).toMatchObject({ late: false })
    expect(running.server.endpoints[0]!.counters.repliesLost).toBe(1)
  })

  it('skips the answer to a message that asks for none', async () => {
    const broker = new Broker()
    await using running = await startWith(broker, { dataflow: [{ reply: 'a' }] })
    const { reply: _, ...silent } = broker.delivery('a')
    broker.receiver!.take([silent])
    await until(() => broker.settled.length === 1)
    expect(running.all('reply.lost')).toEqual([])
  })

  it('gives what failed to onError, and settles it', async () => {
    const broker = new Broker()
    const dataflow = [{ map: { a: 'msg.a + 1' } }]
    await using running = await startWith(broker, {
      format: 'json',
      dataflow,
      onError: [{ reply: 'no: ${error.code}' }],
    })
    broker.give('{}', '[')
    await until(() => broker.settled.length === 2)
    expect(broker.answers.sort()).toEqual(['no: expression_failed', 'no: format_invalid'])
    expect(running.all('deadLetter.stored')).toEqual([])
  })

  it('rejects what the broker itself says is no message', async () => {
    const broker = new Broker()
    await using running = await startWith(broker, { dataflow: [] })
    broker.receiver!.take([{ ...broker.delivery('a'), error: new SluiceError('format_invalid', 'it has no field f') }])
    expect((await running.event('deadLetter.stored')).error.message).toBe('it has no field f')
    await until(() => broker.settled.length === 1)
  })

  it('takes its own key from the message where there is one', async () => {
    const broker = new Broker()
    await using _running = await startWith(broker, { format: 'json', key: 'msg.id', dataflow: [{ reply: '${key}' }] })
    broker.give('{"id":"x"}', '{}')
    await until(() => broker.settled.length === 2)
    expect(broker.answers).toEqual(['x', '2'])
  })

  it('recognises with dedupe what the broker gives again', async () => {
    const broker = new Broker()
    const { came, step } = collector()
    await using _running = await startWith(broker, { dataflow: [{ dedupe: {}, id: 'once' }, step] })
    broker.receiver!.take([broker.delivery('a', 'S:1')])
    await until(() => broker.settled.length === 1)
    broker.receiver!.take([broker.delivery('a', 'S:1'), broker.delivery('b', 'S:2')])
    await until(() => broker.settled.length === 3)
    expect(came).toEqual(['a', 'b'])
  })

  it('is retried from the dead letters with its topic and its key', async () => {
    const broker = new Broker()
    const failing = { first: true }
    const step = ((msg: string, message: { topic: string; key: string }) => {
      if (failing.first) throw new Error('not now')
      return `${msg} ${message.topic} ${message.key}`
    }) as unknown as StepEntry
    const { came, step: last } = collector()
    await using running = await startWith(broker, { dataflow: [step, last] })
    broker.receiver!.take([broker.delivery('a', 'S:7')])
    const { id } = await running.event('deadLetter.stored')
    failing.first = false
    expect(await running.server.retryDeadLetters([id])).toMatchObject({ done: [id], kept: [] })
    expect(came).toEqual(['a mine/topic S:7'])
  })

  it('loses what comes too fast from a broker that keeps nothing, counts it and says so', async () => {
    const broker = new Broker()
    const { came, step } = collector()
    await using running = await startWith(broker, { limits: { maxQueued: '10B' }, dataflow: [step] })
    const { settle: _, ...fleeting } = broker.delivery('123456')
    broker.receiver!.take([fleeting, fleeting, fleeting])
    broker.give('123456', '123456')
    const { error, message } = await running.event('frame.rejected')
    await until(() => broker.settled.length === 2)
    expect(error).toMatchObject({
      code: 'overrun',
      message: 'more than 10B wait for the dataflow, and the broker keeps nothing',
    })
    expect(message.raw.toString()).toBe('123456')
    expect(came).toHaveLength(3)
    expect(running.server.endpoints[0]!.counters.rejected).toEqual(new Map([['overrun', 2]]))
  })

  it('waits, and settles nothing, while a dead letter cannot be stored', async () => {
    const broker = new Broker()
    const data = { dir: './data', deadLetters: { maxSize: '1B' } }
    const running = await startWith(broker, { format: 'json', dataflow: [] }, { data })
    broker.give('{')
    await until(() => broker.settled.length === 1)
    broker.give('{', '{}')
    await running.event('deadLetters.filled')
    await running.server.stop({ deadline: 50 })
    // The third has gone through; the second is still the broker's.
    expect(broker.settled).toEqual(['1', '3'])
    expect(running.all('deadLetter.lost')).toEqual([])
    await running[Symbol.asyncDispose]()
  })

  it('outlives a part that throws where it must not', async () => {
    const broker = new Broker()
    await using running = await startWith(broker, { dataflow: [] })
    const settle = () => {
      throw new Error('must not happen')
    }
    broker.receiver!.take([{ ...broker.delivery('a'), settle }])
    const { text } = await running.event('part.logged')
    expect(text).toBe('a run has ended with a defect: must not happen')
    broker.give('b')
    await until(() => broker.settled.length === 1)
  })

  it('takes what comes at the very end of a run', async () => {
    const broker = new Broker()
    await using _running = await startWith(broker, { dataflow: [] })
    for (let i = 1; i < 50; i++) {
      broker.give('a')
      await until(() => broker.settled.length === 2 * i - 1)
      // Some microtasks later, when the lane may just have seen that nothing waits.
      await new Promise(setImmediate)
      for (let ticks = 0; ticks < i % 7; ticks++) await Promise.resolve()
      broker.give('b')
      await until(() => broker.settled.length === 2 * i)
    }
  })

  it('is stopped and closed once, whatever reloads there were', async () => {
    const broker = new Broker()
    const { came, step } = collector()
    const running = await startWith(broker, { dataflow: [] })
    const config = (place: string) =>
      ({ subscribe: { commands: { mine: { place }, dataflow: [step] } } }) as unknown as Config
    await running.server.reload(config('here'))
    expect(broker).toMatchObject({ stops: 0, closes: 0 })
    broker.give('a')
    await until(() => came.includes('a'))
    const before = broker.receiver
    await Promise.all([running.server.reload(config('there')), running.server.reload(config('elsewhere'))])
    await until(() => broker.closes === 2 && broker.receiver !== before)
    broker.give('b')
    await until(() => came.includes('b'))
    await running[Symbol.asyncDispose]()
    expect(broker).toMatchObject({ stops: 3, closes: 3 })
  })

  it('begins when all addresses are bound, and not at all when one is not', async () => {
    const broker = new Broker()
    await using first = await start({ listen: { a: { host: '127.0.0.1', port: 0, dataflow: [] } } })
    const rest = { listen: { b: { host: '127.0.0.1', port: first.port(), dataflow: [] } } }
    await expect(startWith(broker, { dataflow: [] }, rest)).rejects.toThrow('something else listens')
    expect(broker.receiver).toBe(undefined)
  })
})
