import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Numbered } from './numbered.ts'

test('does what a Map with a number for each would', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat(20))), (acts) => {
      const things = new Numbered<string>()
      const model = new Map<number, string>()
      for (const [i, act] of acts.entries()) {
        if (act === null) {
          const number = things.add(`${i}`)
          expect(model.has(number)).toBe(false)
          model.set(number, `${i}`)
        } else {
          expect(things.take(act)).toBe(model.get(act))
          model.delete(act)
        }
        expect(things.size).toBe(model.size)
      }
      const left: string[] = []
      things.drain((one) => left.push(one))
      expect(left.sort()).toEqual([...model.values()].sort())
      expect(things.size).toBe(0)
    }),
  )
})

test('numbers are given again, so that it does not grow', () => {
  const things = new Numbered<number>()
  for (let i = 0; i < 1000; i++) {
    expect(things.add(i)).toBe(0)
    expect(things.take(0)).toBe(i)
  }
})

test('what is done to one of all may take others', () => {
  const things = new Numbered<() => void>()
  const done: string[] = []
  things.add(() => {
    done.push('first')
    things.take(second)
  })
  const second = things.add(() => done.push('second'))
  things.add(() => done.push('third'))
  things.drain((act) => act())
  expect(done).toEqual(['first', 'third'])
})
