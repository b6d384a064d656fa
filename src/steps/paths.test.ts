import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isPlainObject } from '../util/plain-object.ts'
import { hasPath, pathOption, readPath, withoutPath, withPath } from './paths.ts'

const key = fc.constantFrom('a', 'b', 'c')
const tree = fc.letrec((tie) => ({
  node: fc.oneof({ maxDepth: 4 }, fc.integer(), fc.dictionary(key, tie('node'))),
})).node
const path = fc.array(key, { minLength: 1, maxLength: 4 })

test('what is written is read again, what is taken out is gone, and nothing given changes', () => {
  fc.assert(
    fc.property(tree, path, (value, at) => {
      const before = structuredClone(value)
      const written = withPath(value, at, 'x')
      if (written !== undefined) {
        expect(readPath(written, at)).toBe('x')
        expect(hasPath(withoutPath(written, at), at)).toBe(false)
      } else {
        // Something on the way is no object.
        expect(
          at.some((_, i) =>
            i === 0
              ? !isPlainObject(value)
              : hasPath(value, at.slice(0, i)) && !isPlainObject(readPath(value, at.slice(0, i))),
          ),
        ).toBe(true)
      }
      if (hasPath(value, at)) expect(withPath(withoutPath(value, at), at, readPath(value, at))).toEqual(value)
      expect(value).toEqual(before)
    }),
  )
})

test.each([
  ['msg.a', 'a path begins inside msg'],
  ['items[0]', 'a path has keys and dots alone, such as a.b'],
  ['a..b', 'expected a key, or keys with dots between them, such as a.b'],
  ['', 'expected a key, or keys with dots between them, such as a.b'],
  ['a.__proto__', 'expected a key, or keys with dots between them, such as a.b'],
])('refuses the path %s', (text, message) => {
  expect(pathOption().safeParse(text).error?.issues).toMatchObject([{ message }])
})

test('inherited keys, lists, bytes and times have no places', () => {
  expect(hasPath({}, ['constructor'])).toBe(false)
  expect(hasPath([1], ['0'])).toBe(false)
  expect(isPlainObject(Buffer.from('a'))).toBe(false)
  expect(isPlainObject(new Date(0))).toBe(false)
  expect(isPlainObject(Object.create(null))).toBe(true)
})
