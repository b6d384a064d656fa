import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createMessages } from '../testing/part-context.ts'
import { compilePathTemplate } from './path-template.ts'

const pathOf = (source: string, msg: unknown) =>
  compilePathTemplate(source, { env: { NAME: 'from env' } })(createMessages([msg])[0]!)

test('values stand in their places, and what the configuration says is left as it is', () => {
  expect(pathOf('../logs/${msg.device}/${formatTime(received, "YYYY-MM-DD")}.log', { device: 'a7' })).toBe(
    '../logs/a7/2026-01-01.log',
  )
  expect(pathOf('/var//x/./${msg}', 'ü 1')).toBe('/var//x/./ü 1')
  expect(pathOf('${msg}/', 'a')).toBe('a/')
  expect(pathOf('${msg ? "yes" : "a/b"}', true)).toBe('yes')
})

test('tells a path that is always the same', () => {
  const fixed = (source: string) => compilePathTemplate(source, { env: {} }).fixed
  expect(fixed('/a/../b')).toBe('/a/../b')
  expect(fixed('$${a}')).toBe('${a}')
  expect(fixed('a/${msg}')).toBeUndefined()
  expect(fixed('${msg}')).toBeUndefined()
})

describe('a value that is refused', () => {
  test.each([
    ['logs/${msg}.log', '../x', 'has "/" in it'],
    ['logs/${msg}.log', '/etc/passwd', 'has "/" in it'],
    ['logs/${msg}', '..', '".." cannot be the name'],
    ['logs/${msg}', '.', '"." cannot be the name'],
    ['logs/.${msg}/x', '.', '".." cannot be the name'],
    ['logs/${msg}${msg}/x', '.', '".." cannot be the name'],
    ['logs/${msg}.log', '', 'msg is empty'],
    ['logs/${msg.device}.log', {}, 'msg.device is empty'],
    ['logs/${msg}', 'a\0b', 'has "\\u0000" in it'],
    ['logs/${msg}', 'a\nb', 'has "\\n" in it'],
    ['logs/${msg}', 'a\\b', 'has "\\\\" in it'],
    ['logs/${msg}.log', 'é'.repeat(126), 'is longer than 255 bytes'],
    ['logs/${msg}', Buffer.from([0xff]), 'no UTF-8 text'],
  ])('%s for %j', (source, msg, text) => {
    expect(() => pathOf(source, msg)).toThrowError(expect.objectContaining({ code: 'expression_failed' }))
    expect(() => pathOf(source, msg)).toThrowError(text)
  })
})

test('whatever a message says, the path stays in its folder and has as many names', () => {
  const value = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[./\\a]{0,4}$/))
  fc.assert(
    fc.property(value, value, (a, b) => {
      let path: string
      try {
        path = pathOf('root/${msg.a}/x${msg.b}/${msg.a}${msg.b}', { a, b })
      } catch {
        return
      }
      const names = path.split('/')
      expect(names).toHaveLength(4)
      expect(names[0]).toBe('root')
      for (const name of names) expect(['', '.', '..']).not.toContain(name)
      expect(path).not.toContain('\0')
    }),
  )
})
