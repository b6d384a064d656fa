import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { SluiceError } from '../contracts/errors.ts'
import { Request, Requests } from './requests.ts'

interface Message {
  readonly id?: number
  readonly to: string
}

type Outcome = string | undefined

/** Requests whose answers name whom they are for, so that a wrong one is seen. */
function createBench(idOf?: (message: Message) => number | undefined, maxLate = 100) {
  const requests = new Requests<Message>(idOf, maxLate)
  const outcomes = new Map<string, Outcome>()
  const add = (name: string, { id, match }: { id?: number; match?: (message: Message) => boolean } = {}) => {
    const settle = (outcome: string) => {
      expect(outcomes.has(name), `${name} has an outcome already`).toBe(false)
      outcomes.set(name, outcome)
    }
    const request = new Request<Message>(
      { id, match, timeout: 1000, deadline: undefined },
      ({ to }) => settle(to),
      () => settle('failed'),
    )
    requests.add(request)
    return request
  }
  return { requests, outcomes, add }
}

const error = new SluiceError('request_timeout', 'late')

describe('requests', () => {
  it('get their own answer or none, in order, whoever is given up', () => {
    const steps = fc.array(fc.constantFrom('ask', 'answer', 'give up', 'unreadable'), { maxLength: 60 })
    fc.assert(
      fc.property(steps, fc.infiniteStream(fc.nat()), (actions, chance) => {
        const { requests, outcomes, add } = createBench()
        const unanswered: string[] = []
        const open = new Map<string, Request<Message>>()
        let count = 0
        for (const action of actions) {
          if (action === 'ask') {
            const name = `r${count++}`
            open.set(name, add(name))
            unanswered.push(name)
          } else if (action === 'give up' && open.size > 0) {
            const name = [...open.keys()][chance.next().value! % open.size]!
            requests.giveUp(open.get(name)!, error)
            open.delete(name)
          } else if (action === 'answer' || action === 'unreadable') {
            const name = unanswered.shift()
            const message = { to: name ?? 'nobody' }
            const taken = action === 'answer' ? requests.take(message) : requests.takeError(error)
            expect(taken).toBe(name === undefined ? 'unrequested' : open.delete(name) ? 'answer' : 'late')
          }
          expect(requests.open).toBe(open.size)
          expect(requests.size).toBe(unanswered.length)
        }
        requests.failAll(error)
        expect(requests.size).toBe(0)
        expect(outcomes.size).toBe(count)
        for (const [name, outcome] of outcomes) expect(['failed', name]).toContain(outcome)
      }),
    )
  })

  it('with ids get their own answer or none, in any order', () => {
    const ids = fc.uniqueArray(fc.nat({ max: 1000 }), { minLength: 1, maxLength: 30 })
    fc.assert(
      fc.property(ids, fc.infiniteStream(fc.nat()), (all, chance) => {
        const { requests, outcomes, add } = createBench(({ id }) => id)
        const made = new Map(all.map((id) => [id, add(`r${id}`, { id })]))
        const givenUp = all.filter(() => chance.next().value! % 3 === 0)
        for (const id of givenUp) requests.giveUp(made.get(id)!, error)
        const shuffled = all.map((id) => ({ id, at: chance.next().value! })).sort((a, b) => a.at - b.at)
        for (const { id } of shuffled) {
          expect(requests.take({ id, to: `r${id}` })).toBe(givenUp.includes(id) ? 'late' : 'answer')
        }
        expect(requests.take({ id: all[0]!, to: 'again' })).toBe('unrequested')
        for (const id of all) expect(outcomes.get(`r${id}`)).toBe(givenUp.includes(id) ? 'failed' : `r${id}`)
      }),
    )
  })

  it('with an id and without do not take from each other', () => {
    const { requests, outcomes, add } = createBench(({ id }) => id)
    add('ordered')
    add('seven', { id: 7 })
    add('matched', { match: ({ to }) => to === 'matched' })
    expect(requests.take({ id: 8, to: 'nobody' })).toBe('unrequested')
    expect(requests.take({ id: 7, to: 'seven' })).toBe('answer')
    expect(requests.take({ id: 7, to: 'matched' })).toBe('answer')
    expect(requests.take({ to: 'ordered' })).toBe('answer')
    expect([...outcomes]).toEqual([
      ['seven', 'seven'],
      ['matched', 'matched'],
      ['ordered', 'ordered'],
    ])
  })

  it('that were given up are forgotten, the oldest first, when there are too many; never those in order', () => {
    const { requests, add } = createBench(({ id }) => id, 2)
    for (const id of [1, 2, 3]) requests.giveUp(add(`r${id}`, { id }), error)
    expect(requests.take({ id: 1, to: '' })).toBe('unrequested')
    expect(requests.take({ id: 2, to: '' })).toBe('late')
    expect(requests.take({ id: 3, to: '' })).toBe('late')
    for (const name of ['a', 'b', 'c']) requests.giveUp(add(name), error)
    for (const _ of [1, 2, 3]) expect(requests.take({ to: '' })).toBe('late')
    expect(requests.size).toBe(0)
  })

  it('tell when none is open', () => {
    const { requests, add } = createBench()
    const idle = vi.fn()
    requests.onIdle = idle
    const [one] = [add('one'), add('two')]
    requests.giveUp(one, error)
    requests.giveUp(one, error)
    expect(idle).not.toHaveBeenCalled()
    requests.take({ to: 'one' })
    requests.take({ to: 'two' })
    expect(idle).toHaveBeenCalledOnce()
  })

  it('whose id cannot be read belong to those in order, and that is told when one times out', () => {
    const broken = () => {
      throw new Error('no id in here')
    }
    const { requests, add } = createBench(broken)
    const late = add('late', { id: 1 })
    expect(requests.take({ to: 'nobody' })).toBe('unrequested')
    expect(requests.timedOut(late).message).toBe(
      'no answer came within 1000 ms; the last message could not be compared: no id in here',
    )
  })
})
