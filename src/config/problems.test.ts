import { expect, test } from 'vitest'
import { formatPath, formatProblems, maskSecrets, type Problem } from './problems.ts'

const problem: Problem = {
  code: 'VALUE_INVALID',
  severity: 'error',
  path: ['listen', 'scales', 'port'],
  position: { file: 'sluice.yaml', line: 12, column: 11, text: '    port: "9100"' },
  message: 'listen.scales.port is "9100"',
  expected: 'a whole number',
  hint: 'write 9100, without quotes',
}

test('a problem shows where, what, what was expected and what to write', () => {
  expect(formatProblems([problem])).toBe(
    [
      'sluice.yaml:12:11  VALUE_INVALID  listen.scales.port is "9100"',
      '    expected a whole number',
      '    → write 9100, without quotes',
      '    12 |     port: "9100"',
      '       |           ^',
      '',
    ].join('\n'),
  )
})

test('without a file the path stands in for the place; a warning says that it is one', () => {
  const { position: _, expected: __, hint: ___, ...bare } = problem
  expect(formatProblems([{ ...bare, severity: 'warning' }])).toBe(
    'listen.scales.port  VALUE_INVALID  warning: listen.scales.port is "9100"\n',
  )
  expect(formatProblems([])).toBe('')
})

test('colours change nothing but the colour', () => {
  const colored = formatProblems([problem], { color: true })
  expect(colored).toContain('\x1b[31mVALUE_INVALID\x1b[0m')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what colours are
  expect(colored.replaceAll(/\x1b\[\d+m/g, '')).toBe(formatProblems([problem]))
})

test('a long line is cut so that the caret still points at the column', () => {
  const text = `${'x'.repeat(300)}!${'y'.repeat(300)}`
  const lines = formatProblems([{ ...problem, position: { file: 'f', line: 1, column: 301, text } }]).split('\n')
  const caret = lines.at(-2)!.indexOf('^')
  expect(lines.at(-3)![caret]).toBe('!')
  expect(lines.at(-3)!.length).toBeLessThan(130)
})

test('paths read as people write them', () => {
  expect(formatPath(['listen', 'scales', 'dataflow', 2, 'set', 'state.n'])).toBe(
    'listen.scales.dataflow[2].set["state.n"]',
  )
})

test.each([
  ['  password: hunter2', '  password: …'],
  ['{ user: joe, password: "hun, ter", port: 1 }', '{ user: joe, password: …, port: 1 }'],
  ['apiKey: hunter2', 'apiKey: …'],
  ['url: mqtt://joe:hunter2@host:1883', 'url: mqtt://joe:…@host:1883'],
  ['key: msg.id', 'key: msg.id'],
])('%j is shown as %j', (line, masked) => {
  expect(maskSecrets(line)).toBe(masked)
})
