import { expect, test } from 'vitest'
import { createRegistry } from '../registry/builtins.ts'
import { planConfig } from './plan.ts'
import { readYaml } from './yaml-source.ts'

/** Where a mistake stands to the column, and the words for it. */

/** All that is said of a configuration, each as `line:column message → hint`. */
function saidOf(text: string): string[] {
  const { problems } = planConfig(readYaml(text, 'sluice.yaml', '/etc/sluice'), createRegistry(), {})
  return problems.map(({ position, message, hint }) => {
    const place = position === undefined ? 'nowhere' : `${position.line}:${position.column}`
    return `${place} ${message}${hint === undefined ? '' : ` → ${hint}`}`
  })
}

const endpoint = (...lines: string[]) => ['listen:', '  a:', '    port: 0', '    dataflow: []', ...lines].join('\n')

test('in a short form that is a list, each mistake stands at its entry, in the order of the file', () => {
  const fields = ['- { name: a, type: u8 }', '- { name: b, type: text, length: nope }', '- { name: a, type: u8 }']
  const wrongLayout = (path: string, first: string, second: string) => [
    `${first} ${path}[1].length: no field nope stands before this one`,
    `${second} ${path}[2].name: there are two fields a`,
  ]
  expect(saidOf(endpoint('    format:', '      struct:', ...fields.map((line) => `        ${line}`)))).toEqual(
    wrongLayout('listen.a.format.struct.fields', '8:42', '9:19'),
  )
  const long = ['    format:', '      struct:', '        fields:', ...fields.map((line) => `          ${line}`)]
  expect(saidOf(endpoint(...long))).toEqual(wrongLayout('listen.a.format.struct.fields', '9:44', '10:21'))
  expect(
    saidOf(endpoint('    format: { struct: [', '      { nme: a, type: u8 },', '      { type: bits, of: 8 } ] }')),
  ).toEqual([
    '6:9 listen.a.format.struct.fields[0] has no option nme → did you mean name?',
    '7:25 listen.a.format.struct.fields[1].of is 8',
  ])
  const shared = ['defaults:', '  listen:', '    format:', '      struct:', ...fields.map((line) => `        ${line}`)]
  expect(
    saidOf([...shared, 'listen: { a: { port: 0, dataflow: [] }, b: { port: 0, dataflow: [] } }'].join('\n')),
  ).toEqual(wrongLayout('defaults.listen.format.struct.fields', '6:42', '7:19'))
})

test('the same for a framing and a step', () => {
  expect(
    saidOf(
      endpoint(
        '    framing:',
        '      delimiter:',
        '        - 13',
        '        - hex: 02',
        '        - STX',
        '        - ""',
        '    onError:',
        '      - unset:',
        '          - a',
        '          - msg.a',
      ),
    ),
  ).toEqual([
    '7:11 listen.a.framing.delimiter.any[0] is 13 → write "\\x0d" or { hex: "0d" }',
    '8:16 without quotes these digits are read as a number, which loses zeros → put the digits in quotes: hex: "02"',
    '9:11 STX is 3 characters here, as they stand → write "\\x02"',
    '10:11 listen.a.framing.delimiter.any[3] is ""',
    '14:13 listen.a.onError[0].unset.paths[1]: a path begins inside msg → write a',
  ])
})
