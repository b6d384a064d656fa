import { expect, test } from 'vitest'
import { compileExpression } from '../../src/expression/compile.ts'
import { keyValue } from '../../src/formats/key-value.ts'
import { nmea } from '../../src/formats/nmea.ts'
import { syslog } from '../../src/formats/syslog.ts'
import { parse } from '../../src/steps/parse.ts'
import { createMessages, createTestContext } from '../../src/testing/part-context.ts'
import { runStepNow } from '../../src/testing/run-step.ts'

type Read = (text: string) => unknown

/** How a format reads a text. */
function reads(parse: (bytes: Buffer, start: number, end: number) => unknown): Read {
  return (text) => {
    const bytes = Buffer.from(text)
    return parse(bytes, 0, bytes.length)
  }
}

const pairs = (options: object) => reads(keyValue.create(keyValue.options.parse(options)).parse)
const sentence = reads(nmea.create({ checksum: 'accept' }).parse)
const evaluate = (source: string): Read => {
  const expression = compileExpression(source, { env: {} })
  return (text) => expression(createMessages([text])[0]!)
}
const numberStep = await parse.create(
  parse.options.parse({ delimiter: ',', names: ['kg'], types: { kg: 'number' } }),
  createTestContext(),
)

/** The shortest of some times in milliseconds, for a machine that does other things only makes them longer. */
function timeOf(read: Read, text: string): number {
  const times = Array.from({ length: 3 }, () => {
    const begun = performance.now()
    try {
      read(text)
    } catch {
      // Whether it is refused is not asked here.
    }
    return performance.now() - begun
  })
  return Math.min(...times)
}

/** Eight times the text takes eight times as long, and 64 times where each piece looks through all that follows. */
test.each<[string, Read, (count: number) => string, number]>([
  ['key-value: empty pieces', pairs({}), (count) => ';'.repeat(count), 1 << 16],
  ['key-value: empty pieces of two characters', pairs({ separator: ';;' }), (count) => ';;'.repeat(count), 1 << 16],
  [
    'syslog: one parameter',
    reads(syslog.create(syslog.options.parse({})).parse),
    (count) => `<1>1 - - - - - [a${' a=""'.repeat(count)}]`,
    1 << 12,
  ],
  ['nmea: a number that is none', sentence, (count) => `$GPVTG,${'1'.repeat(count)}x`, 1 << 13],
  [
    'parse: a number that is none',
    (text) => runStepNow(numberStep, createMessages([text])),
    (count) => `${'1'.repeat(count)}x`,
    1 << 13,
  ],
  ['num: a number that is none', evaluate('num(msg)'), (count) => `${'1'.repeat(count)}x`, 1 << 13],
  ['unbase64: padding inside', evaluate('unbase64(msg)'), (count) => `${'='.repeat(count)}A`, 1 << 14],
])(
  '%s cost as much time as they are long',
  (_, read, write, count) => {
    const [once, eightTimes] = [timeOf(read, write(count)), timeOf(read, write(8 * count))]
    expect(eightTimes).toBeLessThan(32 * Math.max(once, 4))
  },
  60_000,
)
