import { EventEmitter } from 'node:events'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SluiceError } from '../contracts/errors.ts'
import { Channel, type ChannelEnd, type Handover } from './channel.ts'

/** Two ends that hear each other in the next turn, with the copying that a channel between processes does. */
class End extends EventEmitter implements ChannelEnd {
  connected = true
  other: End | undefined = undefined

  send(message: unknown, handle: unknown, _: object | undefined, callback: (error: Error | null) => void): boolean {
    // Throws what cannot be copied, as `process.send` does.
    const copy: unknown = structuredClone(message)
    setImmediate(() => {
      this.other!.emit('message', copy, handle)
      callback(null)
    })
    return true
  }

  break(): void {
    for (const end of [this, this.other!]) {
      end.connected = false
      end.emit('disconnect')
    }
  }
}

interface Api {
  add(a: number, b: number): Promise<number>
  give(value: unknown): Promise<unknown>
  fail(): Promise<never>
  hang(): Promise<never>
  giveFunction(): Promise<unknown>
}

function pair(onHandover: (message: Handover, handle: unknown) => void = expect.fail) {
  const [here, there] = [new End(), new End()]
  here.other = there
  there.other = here
  const api: Api = {
    add: async (a, b) => a + b,
    give: async (value) => value,
    fail: async () => {
      throw new SluiceError('client_slow', 'too slow', { retryable: true, hint: 'wait' })
    },
    hang: () => new Promise(() => undefined),
    giveFunction: async () => () => 1,
  }
  new Channel(there, api, onHandover)
  return { end: here, channel: new Channel<Api>(here, {}, expect.fail) }
}

describe('a channel', () => {
  it('says that a result cannot travel', async () => {
    const { channel } = pair()
    await expect(channel.ask('giveFunction')).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringContaining('could not be cloned'),
    })
  })

  it('calls the other process, however many calls are under way', async () => {
    const { channel } = pair()
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.integer(), fc.integer())), async (sums) => {
        const results = await Promise.all(sums.map(([a, b]) => channel.ask('add', a, b)))
        expect(results).toEqual(sums.map(([a, b]) => a + b))
      }),
      { numRuns: 20 },
    )
    const value = { map: new Map([['a', 1]]), bytes: new Uint8Array([1, 2]), nothing: undefined }
    expect(await channel.ask('give', value)).toEqual(value)
  })

  it('throws here what is thrown there', async () => {
    await expect(pair().channel.ask('fail')).rejects.toMatchObject({
      code: 'client_slow',
      message: 'too slow',
      hint: 'wait',
      retryable: true,
    })
  })

  it('refuses what cannot be sent, and goes on', async () => {
    const { channel } = pair()
    await expect(channel.ask('give', () => 1)).rejects.toMatchObject({ code: 'internal' })
    expect(await channel.ask('add', 1, 2)).toBe(3)
  })

  it('ends every call when the other process ends', async () => {
    const { channel, end } = pair()
    const hanging = channel.ask('hang')
    end.break()
    await expect(hanging).rejects.toThrow('the worker has ended meanwhile')
    await expect(channel.ask('add', 1, 2)).rejects.toThrow('the worker has ended meanwhile')
  })

  it('passes on what is no call, with its handle', async () => {
    const handle = {}
    const heard = await new Promise((resolve) => {
      const { channel } = pair((message, given) => resolve([message, given === handle]))
      void channel.post({ kind: 'socket', id: 7, listener: 1 }, handle)
    })
    expect(heard).toEqual([{ kind: 'socket', id: 7, listener: 1 }, true])
  })
})
