import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KeyIndex } from './dedupe-index.ts'

test('a row is found under its key until it is forgotten, and few under another', () => {
  const index = new KeyIndex()
  for (let row = 1; row <= 20_000; row++) index.add(`key ${row}`, row)
  index.forget(10_000)
  expect(index.size).toBeLessThanOrEqual(10_000)
  let strangers = 0
  for (let row = 1; row <= 20_000; row++) {
    const rows = index.get(`key ${row}`)
    if (row > 10_000) expect(rows).toContain(row)
    strangers += rows.filter((one) => one !== row).length
    strangers += index.get(`other ${row}`).length
  }
  expect(strangers).toBeLessThan(20)
})

test('whatever is added and forgotten, a later row of a key is not lost with an earlier', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(5), { maxLength: 30 }), fc.nat(30), (keys, upTo) => {
      const index = new KeyIndex()
      for (const [i, key] of keys.entries()) index.add(`${key}`, i + 1)
      index.forget(upTo)
      for (const [i, key] of keys.entries()) if (i + 1 > upTo) expect(index.get(`${key}`)).toContain(i + 1)
    }),
  )
})
