import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SluiceError } from '../contracts/errors.ts'
import { createMessages } from '../testing/part-context.ts'
import { compileCondition, compileExpression, fromFunction } from './compile.ts'
import { ExpressionError } from './expression-error.ts'

const env = {}

/** Expressions of every operator over small JSON values, as text. */
const { expression } = fc.letrec<{ expression: string }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom('msg', 'msg.a', 'msg.b', 'msg.list', 'msg.deep.a', 'null', 'true', '"a"', '7', '2u', '0xff', '1.5'),
    fc
      .tuple(
        tie('expression'),
        fc.constantFrom('+', '-', '*', '/', '%', '<', '>=', '==', '!=', 'in', '&&', '||'),
        tie('expression'),
      )
      .map(([a, op, b]) => `(${a} ${op} ${b})`),
    fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => `[${a}, ${b}]`),
    fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => `{"x": ${a}, "y": ${b}}`),
    fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => `(${a})[${b}]`),
    fc.tuple(tie('expression'), tie('expression'), tie('expression')).map(([a, b, c]) => `(${a} ? ${b} : ${c})`),
    fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => `${a}.map(x, [x, ${b}])`),
    fc
      .tuple(fc.constantFrom('size', 'num', 'int', 'json', 'first', 'sum', 'abs', 'hex', '!', '-'), tie('expression'))
      .map(([name, a]) => `${name}(${a})`),
  ),
}))

/** What an expression gives, with failures and mistakes of a known kind as text. */
function outcome(source: string, msg: unknown): unknown {
  try {
    return compileExpression(source, { env })(createMessages([msg])[0]!)
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'expression_failed' && error.cause === undefined)
      return error.message
    if (error instanceof Error && error.name === 'ExpressionError') return error.message
    throw error
  }
}

function holdsBigInt(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return typeof value === 'bigint' || value === undefined
  return Object.values(value).some(holdsBigInt)
}

test('no expression gives a BigInt or undefined, or fails in an unforeseen way', () => {
  const message = fc.record({ a: fc.jsonValue(), b: fc.jsonValue(), list: fc.array(fc.integer()), deep: fc.object() })
  fc.assert(
    fc.property(expression, message, (source, msg) => {
      expect(holdsBigInt(outcome(source, JSON.parse(JSON.stringify(msg))))).toBe(false)
    }),
    { numRuns: 2000 },
  )
})

test('whatever is written compiles or is a mistake with a place in it', () => {
  const word = fc.constantFrom(
    ...[
      'msg',
      '.a',
      '[',
      ']',
      '(',
      ')',
      '{',
      '}',
      ':',
      ',',
      '?',
      '"',
      "'",
      '\\',
      '1',
      '.5',
      '+',
      '-',
      '=',
      '!',
      '&',
      '|',
    ],
    ...[' ', 'in', 'has', '.map', 'x', 'é', 'b"', '5u', '.matches', '.bind', 'either', 'null', 'env', 'client', '\n'],
  )
  fc.assert(
    fc.property(fc.string({ unit: word, maxLength: 12 }), (source) => {
      try {
        compileCondition(source, { env })
      } catch (error) {
        expect(error).toBeInstanceOf(ExpressionError)
        const { start, end } = error as ExpressionError
        expect(0 <= start && start <= end && end <= source.length).toBe(true)
      }
    }),
    { numRuns: 5000 },
  )
})

test('a BigInt of the data becomes a number', () => {
  const message = createMessages([null])[0]!.with({ n: 5n, list: [6n] })
  expect(compileExpression('[msg.n, msg.list[0]]', { env })(message)).toEqual([5, 6])
})

test('a path of keys gives what stands there, and nothing that is inherited', () => {
  const inherited = Object.getOwnPropertyNames(Object.prototype)
  const more = ['length', 'prototype', 'at', 'push', 'buffer', 'then', 'call', 'name', '0', '-1', 'a', 'b']
  const path = fc.array(fc.constantFrom(...inherited, ...more), { minLength: 1, maxLength: 4 })
  const leaf = fc.oneof(fc.jsonValue(), fc.date(), fc.uint8Array())
  const message = fc.record({ a: leaf, b: fc.record({ a: leaf, b: leaf }) })
  fc.assert(
    fc.property(path, message, (keys, msg) => {
      const expected = keys.reduce<unknown>((value, key) => {
        if (key === 'length' && (typeof value === 'string' || value instanceof Uint8Array)) {
          return typeof value === 'string' ? Array.from(value).length : value.length
        }
        return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
          ? ((value as Record<string, unknown>)[key] ?? null)
          : null
      }, msg)
      const source = `msg${keys.map((key) => `[${JSON.stringify(key)}]`).join('')}`
      expect(compileExpression(source, { env })(createMessages([msg])[0]!)).toEqual(expected)
    }),
    { numRuns: 1000 },
  )
})

test('arithmetic and logic of numbers are those of JavaScript', () => {
  const number = fc.integer({ min: -50, max: 50 }).map((n) => n / 4)
  const operator = fc.constantFrom('+', '-', '*', '<', '<=', '>', '>=')
  fc.assert(
    fc.property(number, number, number, operator, operator, (a, b, c, one, two) => {
      const order = (op: string, x: number, y: number): number | boolean => {
        if (op === '+') return x + y
        if (op === '-') return x - y
        if (op === '*') return x * y
        if (op === '<') return x < y
        if (op === '<=') return x <= y
        return op === '>' ? x > y : x >= y
      }
      const first = order(one, a, b)
      const expected = typeof first === 'number' ? order(two, first, c) : first
      const source = typeof first === 'number' ? `(msg.a ${one} msg.b) ${two} (${c})` : `msg.a ${one} (${b})`
      expect(compileExpression(source, { env })(createMessages([{ a, b }])[0]!)).toBe(expected)
    }),
  )
})

test('an expression leaves the message as it is', () => {
  const msg = Object.freeze({ a: Object.freeze([1, 2]), b: Object.freeze({ c: 1 }) })
  const [message] = createMessages([msg])
  const run = (source: string) => compileExpression(source, { env })(message!)
  expect(run('merge(msg, {"b": 2})')).toEqual({ a: [1, 2], b: 2 })
  expect(run('msg.a + [3]')).toEqual([1, 2, 3])
  expect(run('msg.a.map(x, x + 1)')).toEqual([2, 3])
  expect(run('slice(msg.a, 1)')).toEqual([2])
  const state = run('state')
  expect(state).not.toBe(message!.source.state)
  expect(run('client')).not.toBe(message!.source.client)
})

test('expressions of one compilation may run inside one another', () => {
  const outer = compileExpression('msg.map(x, msg.filter(y, y >= x).size())', { env })
  const [first, second] = createMessages([
    [1, 2, 3],
    [5, 4],
  ])
  expect([outer(first!), outer(second!), outer(first!)]).toEqual([
    [3, 2, 1],
    [1, 2],
    [3, 2, 1],
  ])
})

describe('what is known of an expression', () => {
  test('its source, and whether it is the message', () => {
    expect(compileExpression('msg', { env }).isMessage).toBe(true)
    expect(compileExpression(' (msg) ', { env }).isMessage).toBe(true)
    expect(compileExpression('msg.a', { env }).isMessage).toBe(false)
    expect(compileCondition('msg.a == 1', { env }).source).toBe('msg.a == 1')
  })

  test('in onError it sees the error', () => {
    const info = { message: 'm', code: 'sink_failed', step: 's', retryable: true }
    const message = createMessages([null])[0]!.withError(info)
    const run = (source: string) => compileExpression(source, { env })(message)
    expect(run('error.code + ":" + error.step')).toBe('sink_failed:s')
    expect(run('has(error.code)')).toBe(true)
    expect(run('error')).toEqual(info)
    expect(compileCondition('error.retryable', { env })(message)).toBe(true)
  })
})

describe('a function', () => {
  test('gets the value and the message', () => {
    const [message] = createMessages([{ n: 2 }])
    const double = fromFunction((msg: { n: number }, { endpoint }) => `${endpoint}:${msg.n * 2}`)
    expect(double(message!)).toBe(`${message!.endpoint}:4`)
    expect(double.isMessage).toBe(false)
  })

  test('that throws fails the step, with its own code where it has one', () => {
    const [message] = createMessages([null])
    const plain = fromFunction(() => {
      throw new Error('no')
    })
    expect(() => plain(message!)).toThrow(expect.objectContaining({ code: 'step_failed', message: 'no' }))
    const coded = fromFunction(() => {
      throw new SluiceError('sink_failed', 'full')
    })
    expect(() => coded(message!)).toThrow(expect.objectContaining({ code: 'sink_failed' }))
  })
})

test('a pattern that is slow elsewhere runs in linear time', () => {
  const [message] = createMessages([`${'a'.repeat(5000)}!`])
  expect(compileCondition('msg.matches("^(a+)+$")', { env })(message!)).toBe(false)
})
