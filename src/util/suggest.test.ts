import { expect, test } from 'vitest'
import { suggest } from './suggest.ts'

const known = ['filter', 'framing', 'warn', 'onError', 'id', 'sqlite']

test.each([
  ['filtre', 'filter'],
  ['Framming', 'framing'],
  ['warning', 'warn'],
  ['onErr', 'onError'],
  ['sqlte', 'sqlite'],
  ['idle', undefined],
  ['mongodb', undefined],
])('%s: did you mean %s', (word, meant) => {
  expect(suggest(word, known)).toBe(meant)
})
