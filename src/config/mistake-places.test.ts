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

/** Lines of a step, as they stand in a dataflow. */
const step = (...lines: string[]) => `listen:\n  a:\n    port: 0\n    dataflow:\n      - ${lines.join('\n        ')}\n`

test.each([
  [
    step('sqlite:', 'file: a.db', 'table: t'),
    '6:9 file and table can not stand beside sqlite → file and table are options of sqlite: write sqlite: { file: …, table: … }, or indent them deeper than sqlite',
  ],
  ...['lookup', 'script', 'validate'].map((name) => [
    step(`${name}:`, 'file: a.csv'),
    `6:9 file can not stand beside ${name} → file is an option of ${name}: write ${name}: { file: … }, or indent it deeper than ${name}`,
  ]),
  [
    step('tcp:', 'host: h', 'port: 7'),
    '6:9 host and port can not stand beside tcp → host and port are options of tcp: write tcp: { host: …, port: … }, or indent them deeper than tcp',
  ],
  // What is no option is told beside it, and what stands beside every step is right.
  [
    step('if: msg.ok', 'sqlite:', 'file: a.db', 'tabel: t', 'filter: msg.x', 'id: s'),
    '7:9 file can not stand beside sqlite → file is an option of sqlite: write sqlite: { file: … }, or indent it deeper than sqlite',
    '9:9 sqlite and filter are steps of their own, and stand in one → begin each with a dash: - filter: …',
  ],
  [
    step('sqlite:', 'file: a.db', 'tabel: t'),
    '6:9 file can not stand beside sqlite → file is an option of sqlite: write sqlite: { file: … }, or indent it deeper than sqlite',
    '7:9 tabel can not stand beside sqlite → beside a step there are id, if, else, timeout, retry, onError',
  ],
  // A step that has something already, and one that takes no such option.
  [
    step('tcp: { host: h }', 'port: 7'),
    '5:9 listen.a.dataflow[0].tcp needs port → port: Port of the other side.',
    '6:9 port can not stand beside tcp → port is an option of tcp: write tcp: { …, port: … }',
  ],
  [
    step('sqlite: { table: t }', 'file: a.db'),
    '6:9 sqlite and file are steps of their own, and stand in one → begin each with a dash: - file: …',
  ],
  [
    step('log:', 'filter: msg.x'),
    '6:9 log and filter are steps of their own, and stand in one → begin each with a dash: - filter: …',
  ],
])('options in the column of their step: %j', (text, ...said) => {
  expect(saidOf(text!)).toEqual(said)
})

const listen = (rest: string) => `listen:\n  a: { port: 0, dataflow: [], ${rest} }\n`

test.each([
  [listen('framing: { fixed: 0 }'), '2:49 listen.a.framing.fixed.length is 0'],
  [listen('framing: { fixed: 0B }'), '2:49 listen.a.framing.fixed.length is "0B"'],
  [listen('limits: { maxQueued: 64kb }'), '2:52 listen.a.limits.maxQueued is "64kb" → write 64KiB'],
  [listen('limits: { writeTimeout: 5 }'), '2:55 listen.a.limits.writeTimeout is 5 → write 5s or 5ms'],
  [listen('limits: { writeTimeout: 3000000 }'), '2:55 listen.a.limits.writeTimeout is 3000000 → write 3000000ms'],
  [listen('limits: { writeTimeout: 3000 hours }'), '2:55 listen.a.limits.writeTimeout is "3000 hours"'],
])('a hint is what would be taken: %j', (text, said) => {
  expect(saidOf(text)).toEqual([said])
})

test.each([
  ['"\\x2"', '5:17 \\x needs 2 hexadecimal digits behind it → write them all, as in \\x02, or \\\\ for a backslash'],
  [
    '"C:\\users"',
    '5:19 \\u needs 4 hexadecimal digits behind it → write them all, as in \\u00e9, or \\\\ for a backslash',
  ],
  ['"\\u1F"', '5:17 \\u needs 4 hexadecimal digits behind it → write them all, as in \\u00e9, or \\\\ for a backslash'],
  [
    '"\\d"',
    "5:17 \\d is no escape → in double quotes write \\\\ for a backslash, or put the text in single quotes: '…'",
  ],
])('an escape that is not whole: %s', (text, said) => {
  expect(saidOf(step(`reply: ${text}`))).toEqual([said])
})

const IN_A_DEEPER_LINE = ', in a line indented deeper than its key'

test.each([
  [['dataflow: [ reply: OK'], `3:15 this [ is not closed → end it with ]${IN_A_DEEPER_LINE}`],
  [['dataflow: [ { reply: OK }, { log: x }'], `3:15 this [ is not closed → end it with ]${IN_A_DEEPER_LINE}`],
  [['dataflow: [ { reply: OK ]'], `3:17 this { is not closed → end it with }${IN_A_DEEPER_LINE}`],
  [['dataflow: [ reply: OK }'], `3:15 this [ is not closed → end it with ]${IN_A_DEEPER_LINE}`],
  [['dataflow: [', '  { reply: OK }', 'port: 0'], `3:15 this [ is not closed → end it with ]${IN_A_DEEPER_LINE}`],
])('a bracket that is not closed: %j', (lines, said) => {
  expect(saidOf(`listen:\n  a:\n    ${lines.join('\n    ')}\n`)).toEqual([said])
})

test.each([
  ['{ to: "127.0.0.1" }', '3:29 listen.a.relay.to is "127.0.0.1"'],
  ['{ to: [] }', '3:29 listen.a.relay.to is empty → write at least one entry'],
  ['{ too: "h:1" }', '3:25 listen.a.relay has no option too → did you mean to?'],
  ['5', '3:23 listen.a.relay is 5 → write { to: … }'],
])('a relay with a mistake in it is one all the same: %s', (relay, said) => {
  expect(saidOf(`listen:\n  a:\n    { port: 0, relay: ${relay} }\n`)).toEqual([said])
})

test('a relay with a mistake under defaults is one for each entry', () => {
  const text = 'defaults: { listen: { relay: { to: [] } } }\nlisten: { a: { port: 0 }, b: { port: 0 } }\n'
  expect(saidOf(text)).toEqual(['1:36 defaults.listen.relay.to is empty → write at least one entry'])
})

test.each([
  ['listen:\n  a:\n  port: 9100\n', '3:3 port stands where listen has names → indent it below a'],
  [
    'listen:\n  b: { port: 1, dataflow: [] }\n  a:\n  port: 9100\n  dataflow: []\n',
    '4:3 port stands where listen has names → indent it below a',
    '5:3 dataflow stands where listen has names → indent it below a',
  ],
  [
    'listen:\n  a:\n    port: 0\n  limits: { maxQueued: 64KiB }\n  dataflow: []\n  b: { port: 0, dataflow: [] }\n',
    '4:3 limits stands where listen has names → indent it below a',
    '5:3 dataflow stands where listen has names → indent it below a',
  ],
  [
    'listen:\n  port: 9100\n  dataflow: []\n',
    '1:1 port stands where listen has names → give the endpoint a name: listen: { NAME: { port: … } }',
  ],
  ['connect:\n  a:\n  host: h\n', '3:3 host stands where connect has names → indent it below a'],
])('options in the column of the name: %j', (text, ...said) => {
  expect(saidOf(text)).toEqual(said)
})

test('an alias without its anchor is told once', () => {
  expect(saidOf('listen:\n  a: { port: 0, dataflow: [] }\n  c: *zz\n')).toEqual([
    "3:6 an unquoted * begins a YAML alias, and no anchor has this name → put it in quotes: c: '*zz'",
  ])
})

test.each([
  ['listen:\n  __proto__: { port: 0, dataflow: [] }\n', '2:3 listen.__proto__: __proto__ cannot be used as a name'],
  [
    step('set: { state.x: msg, msg.y: 1 }'),
    '5:30 listen.a.dataflow[0].set["msg.y"]: only state.NAME and client.tags.NAME can be set → to change the message, use map',
  ],
  [
    step('map: { a: msg.a, __proto__: msg.b }'),
    '5:26 listen.a.dataflow[0].map.__proto__: __proto__ cannot be used as a name',
  ],
  [
    step('parse: { delimiter: ";", names: [ id, kg ], types: { kgs: number } }'),
    '5:62 listen.a.dataflow[0].parse.types.kgs: there is no kgs → did you mean kg?',
  ],
])('a mistake in a key stands at the key: %j', (text, said) => {
  expect(saidOf(text)).toEqual([said])
})
