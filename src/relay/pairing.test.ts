import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Answer, type Answerer, Asked, type Pair } from './pairing.ts'
import { PairingByKey } from './pairing-by-key.ts'
import { PairingInOrder } from './pairing-in-order.ts'

/** A pairing that is told with `ask`, `server` and `mirror`, and what it has given, as `server:mirror`. */
function start({ keyed = false, maxBytes = 1e6, timeout = 100 } = {}) {
  const pairs: Pair[] = []
  let overflows = 0
  const Kind = keyed ? PairingByKey : PairingInOrder
  const pairing = new Kind({ maxBytes, timeout, give: (pair) => pairs.push(pair), overflow: () => overflows++ })
  const add = (from: Answerer, value: string, at = 1) => pairing.add(from, answer(value, at))
  return {
    pairing,
    pairs,
    ask: () => pairing.asked(),
    server: (value: string, at?: number) => add('server', value, at),
    mirror: (value: string, at?: number) => add('mirror', value, at),
    overflows: () => overflows,
    given: () => pairs.splice(0).map(shown),
  }
}

/** What stands before a blank is its key. */
function answer(value: string, at: number): Answer {
  return { value, raw: Buffer.from(value), key: value.split(' ')[0]!, request: undefined, time: 0, at }
}

function shown({ server, mirror, equal }: Pair): string {
  return `${server?.value ?? '-'}${equal ? '=' : ':'}${mirror?.value ?? '-'}`
}

describe('answers in order', () => {
  it('are given as soon as both are there, whoever is first', () => {
    const { ask, server, mirror, given } = start()
    ask()
    server('a')
    expect(given()).toEqual([])
    mirror('a')
    expect(given()).toEqual(['a=a'])
    ask()
    mirror('b')
    server('b')
    expect(given()).toEqual(['b=b'])
  })

  it('that differ belong together, when the next ones have come or after a second', () => {
    const { ask, pairing, server, mirror, given } = start()
    ask()
    mirror('x')
    server('a')
    expect(given()).toEqual([])
    ask()
    server('b')
    mirror('y')
    expect(given()).toEqual(['a:x'])
    pairing.expire(11)
    expect(given()).toEqual([])
    pairing.expire(12)
    expect(given()).toEqual(['b:y'])
  })

  it.each(['slower', 'quicker'])(
    'come into step again behind one that the mirror leaves out, where it is %s',
    (mirrorIs) => {
      const { ask, server, mirror, given } = start()
      ask()
      server('a')
      ask()
      if (mirrorIs === 'slower') server('b')
      mirror('b')
      if (mirrorIs === 'quicker') server('b')
      expect(given()).toEqual(['a:-', 'b=b'])
    },
  )

  it('come into step again behind one that the mirror sends twice', () => {
    const { ask, server, mirror, given } = start()
    ask()
    server('a')
    mirror('a')
    mirror('a')
    expect(given()).toEqual(['a=a'])
    ask()
    expect(given()).toEqual(['-:a'])
    mirror('b')
    server('b')
    expect(given()).toEqual(['b=b'])
  })

  it('come into step again where the one too many comes late', () => {
    const { ask, server, mirror, given } = start()
    ask()
    server('a')
    mirror('a')
    ask()
    mirror('a')
    server('b')
    mirror('b')
    expect(given()).toEqual(['a=a', '-:a', 'b=b'])
  })

  it('are compared while many of them are on their way', () => {
    const { ask, server, mirror, given } = start()
    for (let i = 0; i < 3; i++) ask()
    mirror('x')
    mirror('b')
    server('a')
    server('b')
    expect(given()).toEqual(['a:x', 'b=b'])
    server('c')
    mirror('c')
    expect(given()).toEqual(['c=c'])
  })

  it('that nobody has asked for are compared like any others', () => {
    const { ask, server, mirror, given } = start()
    server('hello')
    mirror('hello')
    ask()
    mirror('a')
    server('a')
    expect(given()).toEqual(['hello=hello', 'a=a'])
  })

  it('wait so long and no longer', () => {
    const { pairing, server, mirror, given } = start({ timeout: 4 })
    server('a', 1)
    server('b', 5)
    pairing.expire(5)
    expect(given()).toEqual([])
    pairing.expire(6)
    expect(given()).toEqual(['a:-'])
    mirror('x', 9)
    pairing.expire(10)
    expect(given()).toEqual(['b:x'])
  })

  it('wait no longer when the other one is gone', () => {
    const { ask, pairing, server, mirror, given } = start()
    server('a')
    server('b')
    expect(pairing.giveUp('server')).toBe(2)
    expect(given()).toEqual(['a:-', 'b:-'])
    ask()
    mirror('x')
    expect(pairing.giveUp('server')).toBe(0)
    expect(given()).toEqual([])
    expect(pairing.giveUp('mirror')).toBe(1)
    expect(given()).toEqual(['-:x'])
  })

  it('wait up to a number of bytes', () => {
    const { ask, server, mirror, given, overflows } = start({ maxBytes: 1200 })
    server('a')
    server('b')
    expect(overflows()).toBe(0)
    server('c')
    expect(overflows()).toBe(1)
    for (const value of ['a', 'b', 'c']) mirror(value)
    expect(given()).toEqual(['a=a', 'b=b', 'c=c'])
    ask()
    server('d')
    expect(overflows()).toBe(1)
  })

  it('of a client that sends on without waiting are none too many because they are early', () => {
    const { ask, server, mirror, given } = start()
    ask()
    ask()
    // Two answers to each message, and the mirror is quicker.
    for (const value of ['a', 'b', 'c', 'd']) mirror(value)
    server('a')
    server('b')
    ask()
    server('c')
    server('d')
    expect(given()).toEqual(['a=a', 'b=b', 'c=c', 'd=d'])
  })

  it('are never lost, doubled or put out of order, and never called equal when they are not', () => {
    const step = fc.oneof(
      fc.constant('ask' as const),
      fc.record({ from: side, value: fc.constantFrom('a', 'b', 'c', 'd') }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, keyed) => {
        const { pairing, pairs } = start({ keyed, maxBytes: 1e6 })
        const sent: { readonly [A in Answerer]: Answer[] } = { server: [], mirror: [] }
        for (const [i, one] of steps.entries()) {
          if (one === 'ask') pairing.asked()
          else {
            const added = answer(one.value, i)
            sent[one.from].push(added)
            pairing.add(one.from, added)
          }
        }
        pairing.giveUp('server')
        pairing.giveUp('mirror')
        for (const from of ['server', 'mirror'] as const) {
          const given = pairs.flatMap((pair) => pair[from] ?? [])
          // By key, those with other keys may go before.
          if (keyed) expect(new Set(given)).toEqual(new Set(sent[from]))
          else expect(given).toEqual(sent[from])
          expect(given).toHaveLength(sent[from].length)
        }
        for (const { server, mirror, equal } of pairs) {
          expect(equal).toBe(server !== undefined && server.value === mirror?.value)
          if (keyed && server && mirror) expect(server.key).toBe(mirror.key)
        }
      }),
    )
  })

  it('of a mirror with faults show these faults and no others, however slow it is', () => {
    // A fault and then some answers that are right; the mirror is behind by up to so many answers.
    const fault = fc.constantFrom('missing', 'twice', 'different')
    const plan = fc.array(fc.record({ fault, right: fc.integer({ min: 3, max: 6 }) }), { maxLength: 10 })
    fc.assert(
      fc.property(plan, fc.array(fc.nat(4), { minLength: 1 }), fc.boolean(), (faults, delays, pipelines) => {
        const { ask, server, mirror, pairing, given } = start()
        const late: string[] = []
        const expected: string[] = []
        let number = 0
        const answerWith = (value: string, copies: readonly string[]) => {
          // The mirror is ahead of the server by nothing, or behind it.
          for (let i = pipelines && number % 3 === 0 ? 3 : pipelines ? 0 : 1; i > 0; i--) ask()
          server(value)
          late.push(...copies)
          while (late.length > delays[number % delays.length]!) mirror(late.shift()!)
          number++
        }
        const right = () => {
          const value = String(number)
          expected.push(`${value}=${value}`)
          answerWith(value, [value])
        }
        for (const { fault, right: count } of faults) {
          const value = String(number)
          if (fault === 'missing') expected.push(`${value}:-`)
          else if (fault === 'different') expected.push(`${value}:bad ${value}`)
          else expected.push(`${value}=${value}`, `-:${value}`)
          answerWith(value, { missing: [], twice: [value, value], different: [`bad ${value}`] }[fault])
          for (let i = 0; i < count; i++) right()
        }
        for (const value of late) mirror(value)
        pairing.giveUp('server')
        pairing.giveUp('mirror')
        expect(given()).toEqual(expected)
      }),
    )
  })

  it('of equal servers are all equal, however they arrive', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat(3))), (answers) => {
        const { ask, server, mirror, pairs } = start()
        const late: string[] = []
        for (const [value, delay] of answers) {
          ask()
          server(value)
          late.push(value)
          while (late.length > delay) mirror(late.shift()!)
        }
        for (const value of late) mirror(value)
        expect(pairs.map(shown)).toEqual(answers.map(([value]) => `${value}=${value}`))
      }),
    )
  })
})

const side = fc.constantFrom<Answerer[]>('server', 'mirror')

describe('answers by key', () => {
  it('belong together in any order', () => {
    const { server, mirror, given } = start({ keyed: true })
    server('1 ok')
    server('2 ok')
    mirror('2 no')
    mirror('1 ok')
    expect(given()).toEqual(['2 ok:2 no', '1 ok=1 ok'])
  })

  it('are not given together because time has passed', () => {
    const { pairing, server, mirror, given } = start({ keyed: true, timeout: 4 })
    server('1 ok', 1)
    mirror('2 ok', 2)
    server('3 ok', 9)
    pairing.expire(7)
    expect(given()).toEqual(['1 ok:-', '-:2 ok'])
    mirror('3 ok', 9)
    expect(given()).toEqual(['3 ok=3 ok'])
  })
})

it.each([true, false])(
  'what the client had sent counts once, however many answers wait with it, by key: %s',
  (keyed) => {
    const { pairing, overflows } = start({ keyed, maxBytes: 4000 })
    const add = (value: string, request: Asked) => pairing.add('server', { ...answer(value, 1), request })
    const first = new Asked(Buffer.alloc(2000))
    for (const value of ['a', 'b', 'c']) add(value, first)
    expect(overflows()).toBe(0)
    expect(pairing.giveUp('server')).toBe(3)
    const second = new Asked(Buffer.alloc(2000))
    for (const value of ['d', 'e', 'f']) add(value, second)
    expect(overflows()).toBe(0)
    add('g', new Asked(Buffer.alloc(2000)))
    expect(overflows()).toBe(1)
  },
)

it('an answer without a key belongs to none', () => {
  const { pairing, mirror, given } = start({ keyed: true })
  for (const from of ['server', 'mirror'] as const) pairing.add(from, { ...answer('x', 1), key: undefined })
  mirror('1 ok')
  expect(given()).toEqual(['x:-', '-:x'])
})

it.each([true, false])('forgets what waits, by key: %s', (keyed) => {
  const { pairing, server, mirror, given, overflows } = start({ keyed, maxBytes: 1100 })
  server('a')
  server('b')
  expect(pairing.clear()).toBe(2)
  server('c')
  mirror('c')
  expect(given()).toEqual(['c=c'])
  server('d')
  server('e')
  expect(overflows()).toBe(0)
  server('f')
  expect(overflows()).toBe(1)
  expect(pairing.clear()).toBe(3)
  expect(pairing.giveUp('server')).toBe(0)
  expect(given()).toEqual([])
})
