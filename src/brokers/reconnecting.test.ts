import { expect, test } from 'vitest'
import { SluiceError } from '../contracts/errors.ts'
import type { Delivery } from '../contracts/subscription.ts'
import { Taker } from '../testing/subscription-suite.ts'
import { Reconnecting, type Session } from './reconnecting.ts'

const address = { ip: 'broker', port: 1 }
const down = new SluiceError('sink_unavailable', 'it is down', { retryable: true })

/** A session that a test can lose, and that remembers what was done with it. */
function createSession() {
  const { promise: lost, resolve: lose } = Promise.withResolvers<SluiceError>()
  const calls: string[] = []
  const session: Session = {
    address,
    lost,
    stop: async () => void calls.push('stop'),
    end: async () => void calls.push('end'),
  }
  return { session, lose, calls }
}

function delivery(text: string): Delivery {
  return { payload: Buffer.from(text), topic: 't', id: '' }
}

test('what comes before the subscription is confirmed waits until it is', async () => {
  const { session, calls } = createSession()
  const subscription = new Reconnecting(async (take) => {
    take([delivery('early')])
    await new Promise(setImmediate)
    take([delivery('also early')])
    queueMicrotask(() => take([delivery('then')]))
    return session
  }, new AbortController().signal)
  const taker = new Taker(subscription)
  subscription.start(taker)
  expect(await taker.took(3)).toEqual(['early', 'also early', 'then'])
  await taker[Symbol.asyncDispose]()
  expect(calls).toEqual(['stop', 'end'])
})

test('it tries again after a failure and after a loss', async () => {
  const sessions = [createSession(), createSession()]
  const attempts: (Session | SluiceError)[] = [down, sessions[0]!.session, sessions[1]!.session]
  const subscription = new Reconnecting(async () => {
    const next = attempts.shift()!
    if (next instanceof SluiceError) throw next
    return next
  }, new AbortController().signal)
  const taker = new Taker(subscription)
  subscription.start(taker)
  await taker.until(() => taker.opens.length === 1)
  sessions[0]!.lose(down)
  await taker.until(() => taker.opens.length === 2)
  expect(taker.failures).toMatchObject([
    { code: 'subscription_failed', message: 'it is down', retryable: true },
    { code: 'subscription_failed', cause: down },
  ])
  expect(sessions[0]!.calls).toEqual(['end'])
  await taker[Symbol.asyncDispose]()
  expect(sessions[1]!.calls).toEqual(['stop', 'end'])
})

test('a stop while it connects stops and ends what comes of it', async () => {
  const { session, calls } = createSession()
  const { promise, resolve } = Promise.withResolvers<Session>()
  const subscription = new Reconnecting(() => promise, new AbortController().signal)
  const taker = new Taker(subscription)
  subscription.start(taker)
  const stopped = subscription.stop()
  resolve(session)
  await stopped
  await subscription.close()
  expect(calls).toEqual(['stop', 'end'])
})

test('a stop while it waits ends the wait', async () => {
  const subscription = new Reconnecting(() => Promise.reject(down), new AbortController().signal)
  const taker = new Taker(subscription)
  subscription.start(taker)
  await taker.until(() => taker.failures.length > 0)
  await taker[Symbol.asyncDispose]()
  const { length } = taker.failures
  await new Promise(setImmediate)
  expect(taker.failures).toHaveLength(length)
})

test('when the server waits no longer the connection is ended at once', async () => {
  const { session, calls } = createSession()
  const late = new AbortController()
  const subscription = new Reconnecting(async () => session, late.signal)
  const taker = new Taker(subscription)
  subscription.start(taker)
  await taker.until(() => taker.opens.length === 1)
  late.abort()
  expect(calls).toEqual(['end'])
})
