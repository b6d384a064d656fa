import { expect, test } from 'vitest'
import { formatProblems, type MistakeCode } from './problems.ts'
import { readYaml } from './yaml-source.ts'

const read = (text: string) => readYaml(text, 'sluice.yaml', '/etc/sluice')

/** Text, code, line:column, and what the hint must hold. */
const traps: readonly [string, MistakeCode, string, string][] = [
  ['filter: !msg.ok', 'YAML_TAG', '1:9', "filter: '!msg.ok'"],
  ['filter: !msg.ok && msg.b # why', 'YAML_TAG', '1:9', "filter: '!msg.ok && msg.b'"],
  ['filter: ! msg.ok', 'YAML_TAG', '1:9', "filter: '! msg.ok'"],
  ['steps: [ filter: !msg.ok, close: {} ]', 'YAML_TAG', '1:18', "filter: '!msg.ok'"],
  ['filter: &msg.ok', 'YAML_ANCHOR', '1:9', "filter: '&msg.ok'"],
  ['filter: *msg.ok', 'YAML_ANCHOR', '1:9', "filter: '*msg.ok'"],
  ['filter: *', 'YAML_ANCHOR', '1:9', "filter: '*'"],
  ['filter: msg.name == "a #b"', 'YAML_COMMENT', '1:9', `filter: 'msg.name == "a #b"'`],
  ['filter: msg.list.exists(x, #1', 'YAML_COMMENT', '1:9', "filter: 'msg.list.exists(x, #1'"],
  ['filter: msg.n == #3', 'YAML_COMMENT', '1:9', "filter: 'msg.n == #3'"],
  ['- filter: msg.a ? b : c', 'YAML_HALF_EXPRESSION', '1:11', "filter: 'msg.a ? b : c'"],
  ['map:\n  msg.a ? b : c', 'YAML_HALF_EXPRESSION', '2:3', "'msg.a ? b : c'"],
  ['map: { f: msg.a ? b : c }', 'YAML_HALF_EXPRESSION', '1:11', "f: 'msg.a ? b : c'"],
  ['map:\n  ? msg.x', 'YAML_HALF_EXPRESSION', '2:3', "'? msg.x'"],
  ['- filter: msg.a: b', 'YAML_HALF_EXPRESSION', '1:11', "filter: 'msg.a: b'"],
  ['reply: {msg.id}', 'YAML_HALF_EXPRESSION', '1:9', '"${msg.id}"'],
  ['map: { f: msg.list[0] }', 'YAML_NEEDS_QUOTES', '1:11', "f: 'msg.list[0]'"],
  ['map: { f: max(msg.a, 2), g: 1 }', 'YAML_NEEDS_QUOTES', '1:11', "f: 'max(msg.a, 2)'"],
  ['a: { port: ${env.PORT} }', 'YAML_NEEDS_QUOTES', '1:12', "port: '${env.PORT}'"],
  ['reply: @id', 'YAML_NEEDS_QUOTES', '1:8', "reply: '@id'"],
  ['reply: %d', 'YAML_NEEDS_QUOTES', '1:8', "reply: '%d'"],
  ['reply: `x`', 'YAML_NEEDS_QUOTES', '1:8', "reply: '`x`'"],
  ['filter: "x" == msg.b', 'YAML_NEEDS_QUOTES', '1:9', `filter: '"x" == msg.b'`],
  ["filter: 'x' == msg.b", 'YAML_NEEDS_QUOTES', '1:9', `filter: "'x' == msg.b"`],
  ["reply: 'it's'", 'YAML_NEEDS_QUOTES', '1:8', `"it's"`],
  ['filter: [1, 2].exists(x, x > 1)', 'YAML_NEEDS_QUOTES', '1:9', "filter: '[1, 2].exists(x, x > 1)'"],
  ['filter: > 5', 'YAML_NEEDS_QUOTES', '1:9', "filter: '> 5'"],
  ['filter: "\\d+"', 'YAML_NEEDS_QUOTES', '1:10', 'single quotes'],
  ['a:\n\t- b', 'YAML_TAB', '2:1', 'spaces'],
  ['a: 1\nb: 2\na: 3', 'YAML_DUPLICATE_KEY', '3:1', 'keep one'],
  ['a:\n  b: 1\n c: 2', 'YAML_INDENT', '3:1', 'same column'],
  ['a: 1\n  b: 2', 'YAML_INDENT', '2:3', 'same column'],
  ['a: {b: 1', 'YAML_INDENT', '1:4', '}'],
  ['a: "abc\nb: 1', 'YAML_INDENT', '1:4', 'end the text with "'],
  ['a: 1\n---\nb: 2', 'YAML_INVALID', '2:1', '---'],
  ['a:\n- b\nc', 'YAML_INVALID', '3:1', 'write c:'],
]

test.each(traps)('%j is %s at %s', (text, code, place, hint) => {
  const { problems } = read(text)
  expect(problems.map((problem) => problem.code)).toEqual([code])
  const [problem] = problems
  expect(`${problem?.position?.line}:${problem?.position?.column}`).toBe(place)
  expect(problem?.hint).toContain(hint)
})

test.each([
  "reply: don't worry # a comment",
  'filter: msg.a > 3 # a comment',
  'a: &port 9100\nb: *port',
  'map: { "a ? b": msg.x, f: "max(1, 2)", g: "msg.list[0]" }',
  'reply: OK ${msg.id}',
  'filter: msg.a == "x" && msg.b.exists(c, c > 1)',
  'map: {}\nclose:\nhex: "0d0a"',
  'filter: !!str 5',
])('%j is fine', (text) => {
  expect(read(text).problems).toEqual([])
})

test('aliases that multiply are refused', () => {
  const lines = ['a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]']
  for (const [i, name] of [...'bcdef'].entries()) {
    lines.push(`${name}: &${name} [${Array(9).fill(`*${'abcde'[i]}`).join(', ')}]`)
  }
  expect(read(lines.join('\n'))).toMatchObject({ value: undefined, problems: [{ code: 'YAML_TOO_MANY_ALIASES' }] })
})

test('mistakes of several lines are found at once, and what is sound is still read', () => {
  const { problems, value } = read('a: !x\nb: @y\nc: 3\nc: 4\nd: 5')
  expect(problems.map(({ position }) => position?.line)).toEqual([1, 2, 4])
  expect(value).toMatchObject({ d: 5 })
})

test('after a bracket that is never closed only that is reported', () => {
  const { problems, value } = read('a: [x\nb: 1\nc: @y\nd: e: f')
  expect(problems.map(({ position }) => position?.line)).toEqual([1])
  expect(value).toBeUndefined()
})

test('a secret in a line with a mistake is not shown', () => {
  const shown = formatProblems(read('password: @hunter2\nurl: %mqtt://joe:hunter2@host\napiKey: !hunter2').problems)
  expect(shown).not.toContain('hunter2')
  expect(shown).toContain('password: …')
})
