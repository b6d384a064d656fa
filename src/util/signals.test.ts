import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { whenAborted, withEither } from './signals.ts'

describe('whenAborted', () => {
  test('acts once, at once when the signal is aborted already, and not when the wish was taken back', () => {
    const done: string[] = []
    const abort = new AbortController()
    whenAborted(abort.signal, () => done.push('a'))
    whenAborted(abort.signal, () => done.push('b'))()
    const forget = whenAborted(abort.signal, () => done.push('c'))
    forget()
    forget()
    whenAborted(abort.signal, () => done.push('d'))
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(1)
    abort.abort()
    expect(done.sort()).toEqual(['a', 'd'])
    whenAborted(abort.signal, () => done.push('e'))()
    expect(done).toEqual(['a', 'd', 'e'])
  })

  test('a wish that is taken back twice takes no other with it', () => {
    const done: string[] = []
    const abort = new AbortController()
    const forget = whenAborted(abort.signal, () => done.push('a'))
    forget()
    whenAborted(abort.signal, () => done.push('b'))
    forget()
    abort.abort()
    expect(done).toEqual(['b'])
  })

  test('what is done may take back what others wish', () => {
    const done: string[] = []
    const abort = new AbortController()
    whenAborted(abort.signal, () => forget())
    const forget = whenAborted(abort.signal, () => done.push('b'))
    abort.abort()
    expect(done).toEqual([])
  })
})

describe('withEither', () => {
  for (const which of [0, 1]) {
    test(`is aborted with the reason of signal ${which + 1}`, async () => {
      const both = [new AbortController(), new AbortController()] as const
      const reason = await withEither(both[0].signal, both[1].signal, (signal) => {
        const { promise, resolve } = Promise.withResolvers<unknown>()
        whenAborted(signal, () => resolve(signal.reason))
        both[which]!.abort('why')
        return promise
      })
      expect(reason).toBe('why')
    })
  }

  test('with one that is aborted already it is aborted', async () => {
    const other = new AbortController().signal
    expect(await withEither(other, AbortSignal.abort(), async (signal) => signal.aborted)).toBe(true)
    expect(await withEither(AbortSignal.abort(), other, async (signal) => signal.aborted)).toBe(true)
  })

  test('with one signal it is that, and when it is over nothing is aborted any more', async () => {
    const { signal } = new AbortController()
    expect(await withEither(signal, undefined, async (one) => one)).toBe(signal)
    expect(await withEither(signal, signal, async (one) => one)).toBe(signal)
    const other = new AbortController()
    const either = await withEither(signal, other.signal, async (one) => one)
    other.abort()
    expect(either.aborted).toBe(false)
  })
})
