import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Body, type Insert, js, objectLiteral, operation } from './code.ts'

/** Texts that would be heard as code, or change an object, if they ever stood outside of a literal. */
const hostile = [
  '"]; process.exit(1); //',
  "'); process.exit(1) //",
  '`${process.exit(1)}`',
  '*/ process.exit(1) /*',
  '\\',
  '\\"; process.exit(1) //',
  '\u2028process.exit(1)\u2029',
  '\r\nprocess.exit(1)\n',
  '</script>',
  '\ud800',
  '\0',
  '__proto__',
  'constructor',
  'toString',
  'k0',
  'v1',
  '',
]
const text = fc.oneof(fc.constantFrom(...hostile), fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }))
const number = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(-0, Number.MAX_VALUE, -Infinity))

/** What an expression gives. */
function resultOf(make: (body: Body) => Insert): unknown {
  return Body.compile<() => unknown>(js``, (body) => body.add(js`return ${make(body)}`))()
}

describe('a literal', () => {
  test('gives the very text, whatever it holds', () => {
    fc.assert(
      fc.property(text, (given) => {
        expect(resultOf(() => given)).toBe(given)
      }),
      { examples: hostile.map((one) => [one]) },
    )
  })

  test('gives the very number, wherever it stands', () => {
    fc.assert(
      fc.property(number, number, (a, b) => {
        expect(resultOf(() => a)).toBe(a)
        expect(resultOf(() => js`(${a} - ${b})`)).toBe(a - b)
        expect(resultOf(() => js`(${a}-${b})`)).toBe(a - b)
      }),
    )
  })

  test.each([true, false, undefined])('gives %s', (given) => {
    expect(resultOf(() => given)).toBe(given)
  })

  test('of an object has the keys as its own, in their order, and changes nothing else', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(text, number), { selector: ([key]) => key }), (entries) => {
        const given = resultOf(() => objectLiteral(entries.map(([key, value]) => [key, js`${value}`])))
        expect(Object.getPrototypeOf(given)).toBe(Object.prototype)
        const expected = Object.create(Object.prototype, {})
        for (const [key, value] of entries) Object.defineProperty(expected, key, { value, enumerable: true })
        expect(Object.entries(given as object)).toEqual(Object.entries(expected))
      }),
      { examples: [[hostile.map((one, i) => [one, i] as [string, number])]] },
    )
  })

  test('is a key and an argument, too', () => {
    fc.assert(
      fc.property(text, (given) => {
        const row = Object.defineProperty({}, given, { value: 7 })
        expect(resultOf((body) => js`${body.constant(row)}[${given}]`)).toBe(7)
        expect(resultOf((body) => body.call((...all: unknown[]) => all, given, 1, js`2`))).toEqual([given, 1, 2])
      }),
    )
  })
})

describe('a function', () => {
  test('takes parameters, keeps values, and runs blocks', () => {
    const sum = Body.compile<(list: readonly number[], limit: number) => number>(js`list, limit`, (body) => {
      body.add(js`let sum = 0`)
      const each = body.name()
      body.block(js`for (const ${each} of list)`, (inner) => {
        const twice = inner.keep(js`${each} * 2`)
        inner.block(js`if (${twice} < limit)`, (then) => then.add(js`sum += ${twice}`))
        inner.block(js`else`, (otherwise) => otherwise.add(js`sum -= 1`))
      })
      body.add(js`return sum`)
    })
    expect(sum([1, 2, 100], 50)).toBe(5)
  })

  test('has each constant once, and never sees those of another', () => {
    const table = new Map([['a', 1]])
    const [same, other] = [table, new Map()].map((second) =>
      Body.compile<() => boolean>(js``, (body) => {
        body.add(js`return ${body.constant(table)} === ${body.constant(second)}`)
      }),
    )
    expect(same!()).toBe(true)
    expect(other!()).toBe(false)
  })

  test('is strict', () => {
    expect(() => Body.compile<() => void>(js``, (body) => body.add(js`undeclared = 1`))()).toThrow(ReferenceError)
  })

  test('joins operands', () => {
    expect(resultOf(() => operation(js`&&`, [js`1`, js`2`]))).toBe(2)
    expect(resultOf(() => js`${operation(js`+`, [js`1`, js`2`])} * 3`)).toBe(9)
  })

  test('is made where Node.js forbids `new Function`', async () => {
    const program = `
      import { Body, js } from ${JSON.stringify(new URL('./code.ts', import.meta.url).href)}
      let isForbidden = false
      try { new Function('') } catch { isForbidden = true }
      const seven = Body.compile(js\`\`, (body) => body.add(js\`return 7\`))
      console.log(isForbidden, seven())`
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--disallow-code-generation-from-strings',
      '--input-type=module',
      '--eval',
      program,
    ])
    expect(stdout.trim()).toBe('true 7')
  })
})
