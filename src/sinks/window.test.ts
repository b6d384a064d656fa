import { expect, test } from 'vitest'
import { SluiceError } from '../contracts/errors.ts'
import { type Delivery, Window } from './window.ts'

type Done = (error?: SluiceError) => void

function createWindow(size: number, onTimeout: (delivery: Delivery) => void = () => undefined) {
  const sent: string[] = []
  const done: Done[] = []
  const window = new Window<string>(size, {
    send(item, settle) {
      if (item === 'bad') throw new SluiceError('sink_failed', 'bad')
      sent.push(item)
      done.push(settle)
    },
    onTimeout,
  })
  return { window, sent, done }
}

const lost = new SluiceError('sink_unavailable', 'lost', { retryable: true })
const LONG = 60_000

test('sends no more than it may, in the order of the calls, and goes on with each word of the broker', async () => {
  const { window, sent, done } = createWindow(2)
  const first = window.deliver(['a', 'b', 'c'], LONG)
  const second = window.deliver(['d'], LONG)
  expect(sent).toEqual(['a', 'b'])
  done[1]!()
  expect(sent).toEqual(['a', 'b', 'c'])
  done[0]!(lost)
  done[2]!()
  expect(sent).toEqual(['a', 'b', 'c', 'd'])
  expect(await first).toEqual([lost, undefined, undefined])
  expect(window.deliveries).toBe(1)
  done[3]!()
  expect(await second).toEqual([undefined])
})

test('what cannot be sent fails alone', async () => {
  const { window, sent, done } = createWindow(1)
  const delivery = window.deliver(['bad', 'a'], LONG)
  done[0]!()
  expect(await delivery).toMatchObject([{ message: 'bad' }, undefined])
  expect(sent).toEqual(['a'])
})

test('the end of the connection is the outcome of all that have none, and of what comes later', async () => {
  const { window, sent, done } = createWindow(2)
  const delivery = window.deliver(['a', 'b', 'c'], LONG)
  done[0]!()
  window.fail(lost)
  done[1]!()
  expect(await delivery).toEqual([undefined, lost, lost])
  expect(await window.deliver(['d'], LONG)).toEqual([lost])
  expect(sent).toEqual(['a', 'b', 'c'])
})

test('a pause holds back, and what is abandoned meanwhile is never sent', async () => {
  const { window, sent, done } = createWindow(9, (delivery) => window.abandon(delivery, lost))
  window.pause()
  const given = window.deliver(['a', 'b'], 1)
  const kept = window.deliver(['c'], LONG)
  expect(await given).toEqual([lost, lost])
  window.resume()
  expect(sent).toEqual(['c'])
  done[0]!()
  expect(await kept).toEqual([undefined])
})

test('a word that comes after the deadline changes nothing, and makes room', async () => {
  const { window, sent, done } = createWindow(1, (delivery) => window.abandon(delivery, lost))
  expect(await window.deliver(['a'], 1)).toEqual([lost])
  const next = window.deliver(['b'], LONG)
  done[0]!()
  expect(sent).toEqual(['a', 'b'])
  done[1]!()
  expect(await next).toEqual([undefined])
})

test('it can be made narrower', () => {
  const { window, sent } = createWindow(3)
  window.limit(1)
  window.limit(2)
  void window.deliver(['a', 'b'], LONG)
  expect(sent).toEqual(['a'])
  window.fail(lost)
})
