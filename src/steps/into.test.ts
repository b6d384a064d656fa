import { describe, expect, test } from 'vitest'
import { createMessages } from '../testing/part-context.ts'
import { withResult } from './into.ts'

const into = (msg: unknown, name: string | undefined) => withResult(createMessages([msg])[0]!, name, 7).msg

describe('a result', () => {
  test('is the new msg where no key is named', () => {
    expect(into({ a: 1 }, undefined)).toBe(7)
  })

  test('stands beside the keys of an object, also of one without a prototype', () => {
    expect(into({ a: 1, n: 2 }, 'n')).toEqual({ a: 1, n: 7 })
    expect(into(Object.assign(Object.create(null), { a: 1 }), 'n')).toEqual({ a: 1, n: 7 })
  })

  test.each([['text'], [null], [[1]], [new Date(5)], [Buffer.from('x')]])('stands beside %j under value', (msg) => {
    expect(into(msg, 'n')).toEqual({ value: msg, n: 7 })
  })
})
