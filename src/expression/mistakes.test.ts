import { describe, expect, test } from 'vitest'
import { createMessages } from '../testing/part-context.ts'
import { compileCondition, compileExpression } from './compile.ts'

const [given] = createMessages([
  {
    temp: 31.5,
    n: 7,
    zero: 0,
    device: 'A7',
    weight: '12.5',
    ok: true,
    nothing: null,
    items: [{ qty: 2 }, { qty: 5 }, { qty: null }],
    list: [3, 1, 2],
    nested: { a: 1 },
    bin: Buffer.from([2, 65, 3, 255]),
  },
])
const options = { env: { SITE: 'north', TOKEN: 'geheim' } }

const value = (text: string) => compileExpression(text, options)(given!)
const holds = (text: string) => compileCondition(text, options)(given!)

/** Expressions that fail a message with such a text. */
const FAILURES: readonly (readonly [expression: string, error: string])[] = [
  ['msg.missing * 2', 'msg.missing is missing'],
  ['2 - msg.missing', 'msg.missing is missing'],
  ['-msg.missing', 'msg.missing is missing'],
  ['msg.nested.x / 2', 'msg.nested.x is missing'],
  ['"a" + msg.missing', 'msg.missing is missing'],
  ['msg.missing + msg.gone', 'msg.missing is missing'],
  ['msg.missing > 30', 'msg.missing is missing'],
  ['msg.missing in msg.gone', 'msg.gone is missing'],
  ['trim(msg.missing)', 'msg.missing is missing'],
  ['msg.missing.map(x, x)', 'msg.missing is missing'],
  ['msg.temp > "30"', 'msg.temp is a number and "30" is a text: > cannot compare them'],
  ['msg.weight < 20', 'msg.weight is a text and 20 is a number: < cannot compare them'],
  ['msg.ok > true', 'msg.ok is a boolean and true is a boolean: > cannot compare them'],
  ['msg.weight * 2', 'msg.weight is a text, and * takes numbers'],
  ['msg.n * msg.list', 'msg.list is a list, and * takes numbers'],
  ['msg.n + msg.ok', 'msg.ok is a boolean, and + takes numbers'],
  ['"a" + msg.list', 'msg.list is a list, which does not join with a text'],
  ['"a" + raw', 'raw is bytes, which does not join with a text'],
  ['msg.n / msg.zero', 'division by zero in msg.n / msg.zero'],
  ['msg.n % msg.zero', 'division by zero in msg.n % msg.zero'],
  ['!msg.n', 'msg.n is a number, where true or false is needed'],
  ['msg.device && true', 'msg.device is a text, where true or false is needed'],
  ['msg.n ? 1 : 2', 'msg.n is a number, where true or false is needed'],
  ['"A" in msg.device', 'msg.device is a text, and in takes a list or a map'],
  ['msg.n.map(x, x)', 'msg.n is a number, where a list is needed'],
  ['msg.list.filter(x, x)', 'x is a number, where true or false is needed'],
  ['num(msg.device)', 'num(msg.device): "A7" is no number'],
  ['num("" + msg.device[9].default(""))', 'is no number'],
  ['left(raw, 1)', 'raw is bytes, and left takes a text'],
  ['round(msg.weight)', 'msg.weight is a text, and round takes a number'],
  ['u16be(msg.bin, 3)', 'there are 4 bytes, and bytes 3 to 4 were asked for'],
  ['num(env.TOKEN + msg.device)', 'num(env.TOKEN + msg.device): the value is not accepted'],
  ['min(msg.list.filter(x, x > 9))', 'the list is empty'],
  ['text(bytes([97, 255]))', 'text(bytes([97, 255])): the bytes are no UTF-8 text'],
  ['text(bytes([97, 255]), "ascii")', 'the bytes are no ASCII text'],
  ['checksum(raw, "x" + msg.device)', 'there is no checksum "xA7"; there are'],
  ['sum(["1"].map(x, x))', 'item 0 is a text, not a number'],
  ['parseJson(msg.device)', 'the text is not JSON'],
  ['parseTime(msg.device)', '"A7" is no RFC 3339 time'],
  ['parseTime("2026-02-30" + msg.gone.default(""))', 'is no time'],
  ['padStart(msg.n, 99999999)', 'the length 99999999 is above 65536'],
]

/** Conditions: a test against a missing value is false, and counted so often. */
const CONDITIONS: readonly (readonly [expression: string, result: boolean, missing: number])[] = [
  ['msg.temp > 30', true, 0],
  ['msg.missing > 30', false, 1],
  ['msg.missing < 30', false, 1],
  ['msg.missing >= msg.gone', false, 1],
  ['msg.nothing <= 1', false, 1],
  ['!(msg.missing > 30)', true, 1],
  ['msg.missing > 1 || msg.temp > 30', true, 1],
  ['msg.missing == null', true, 0],
  ['msg.missing', false, 0],
  ['msg.ok', true, 0],
  ['!msg.missing', true, 0],
  ['1 in msg.missing', false, 1],
  ['msg.missing.startsWith("A")', false, 1],
  ['msg.missing.contains("A")', false, 1],
  ['msg.missing.matches("A")', false, 1],
  ['msg.missing.exists(x, x > 1)', false, 1],
  ['msg.missing.all(x, x > 1)', false, 1],
  ['msg.items.all(i, i.qty > 1)', false, 1],
  ['true', true, 0],
  ['event == "connect" ? true : msg.n > 5', true, 0],
]

/** Mistakes found at load: the marked part, the message, the cure ('' where it does not matter). */
const MISTAKES: readonly (readonly [expression: string, marked: string, message: string, hint: string])[] = [
  ['msg.a > 1 and msg.b', 'and', 'unexpected and', 'write &&'],
  ['msg.a or msg.b', 'or', 'unexpected or', 'write ||'],
  ['msg.a AND msg.b', 'AND', 'unexpected AND', 'write &&'],
  ['not msg.a', 'msg', 'unexpected msg', 'write !'],
  ['not(msg.a)', 'not', 'there is no function not', 'write !'],
  ['msg.a === 1', '=', 'unexpected =', 'write =='],
  ['msg.a !== 1', '=', 'unexpected =', 'write !='],
  ['msg.a <> 1', '>', 'unexpected >', 'write !='],
  ['msg.a = 1', '=', 'unexpected =', 'write =='],
  ['msg.a & msg.b', '&', 'unexpected &', 'write &&'],
  ['msg.a | msg.b', '|', 'unexpected |', 'write ||'],
  ['msg.a ?? 1', '?', 'unexpected ?', 'write default(a, b)'],
  ['msg?.a', '.', 'unexpected .', 'write a.b: a missing key reads as null'],
  ['msg.in', 'in', 'expected a name before in', 'write the key in brackets: msg["in"]'],
  ['msg.größe', 'ö', 'unexpected ö', 'write the key in brackets: msg["größe"]'],
  ['“kg”', '“', 'unexpected “', 'write straight quotes: "…"'],
  ['msg.a > 1,5', ',', 'unexpected ,', 'write the decimal point: 1.5'],
  ['(msg.a', '', ') is missing at the end', ''],
  ['msg.a >', '', 'the expression ends too early', ''],
  ['"abc', '"abc', 'a quote is not closed', ''],
  ['', '', 'the expression is empty', ''],
  ['msg.matches("\\d")', '\\d', 'invalid escape sequence: \\d', 'write \\\\ for a backslash, or r"…" for a pattern'],
  ['kg', 'kg', 'there is no kg', `for the text kg write '"kg"', for the key msg.kg`],
  ['msg.unit == kg', 'kg', 'there is no kg', 'for the text kg write "kg", for the key msg.kg'],
  ['mgs.temp', 'mgs', 'there is no mgs', 'did you mean msg? Or for the text mgs write "mgs", for the key msg.mgs'],
  ['net weight', 'weight', 'unexpected weight', `for the text net weight write '"net weight"'`],
  ['client.ipp', 'client.ipp', 'client has no ipp', 'did you mean client.ip?'],
  ['client["foo"]', 'client["foo"]', 'client has no foo', ''],
  ['error.massage', 'error.massage', 'error has no massage', 'did you mean error.message?'],
  ['env.SITES', 'env.SITES', 'the environment has no SITES', 'did you mean env.SITE?'],
  ['env', 'env', 'env stands alone', 'write env.NAME'],
  ['trimm(msg.a)', 'trimm', 'there is no function trimm', 'did you mean trim?'],
  ['msg.a.toUpperCase()', 'toUpperCase', 'there is no function toUpperCase', 'write upper(…)'],
  ['constructor(msg)', 'constructor', 'there is no function constructor', ''],
  ['left(msg.a)', 'left(msg.a)', 'left was given 1 argument', 'write left(text, count)'],
  ['msg.a.left("x")', '"x"', '"x" is a text, and left takes a whole number', 'write num("x")'],
  ['checksum(raw, "crc17")', '"crc17"', 'there is no checksum "crc17"; there are crc8, crc8-smbus,', ''],
  ['checksum(raw, "xor8")', '"xor8"', 'there is no checksum "xor8"; there are', 'did you mean xor?'],
  ['checksum(raw, 5)', '5', '5 is a number, and checksum takes one of crc8,', ''],
  ['text(raw, "utf-8")', '"utf-8"', 'there is no encoding "utf-8"; there are utf8,', 'did you mean utf8?'],
  ['msg.a.matches("(a")', '"(a"', 'error parsing regexp: missing closing ): `(a`', ''],
  ['msg.a.matches("(?=a)")', '"(?=a)"', 'error parsing regexp', 'RE2 has no look-around and no back references'],
  ['msg.a.matches(msg.b)', 'msg.b', 'the pattern of matches must be a text', ''],
  ['"5" * 2', '"5" * 2', '"5" is a text, and * takes numbers', 'write num("5")'],
  ['msg.list.map(3, 4)', '3', 'the first argument must be a name', ''],
  ['msg.list.map(msg, 4)', 'msg', 'msg has a meaning already', 'write map(x, …)'],
  ['has(msg)', 'msg', 'has asks for a key', 'write has(msg.key)'],
  ['9007199254740993', '9007199254740993', 'this number is too large to be exact', 'write it as a text'],
  ['{null: 1}', 'null', 'a key of a map is missing: null', ''],
  ['{"a": 1, "a": 2}', '"a"', 'the key a stands twice in this map', ''],
  ['${msg.a}', '$', 'unexpected $', 'here an expression stands without ${ }'],
  ['if msg.a then 1', 'if', 'unexpected if', 'write condition ? a : b'],
]

describe('failures of a message', () => {
  test.each(FAILURES)('%s', (expression, message) => {
    expect(() => value(expression)).toThrow(
      expect.objectContaining({ code: 'expression_failed', message: expect.stringContaining(message) }),
    )
  })

  test('a cure is given', () => {
    expect(() => value('msg.weight * 2')).toThrow(expect.objectContaining({ hint: 'write num(msg.weight)' }))
    expect(() => value('"a" + msg.x')).toThrow(
      expect.objectContaining({ hint: 'write default(msg.x, "") if it may be missing' }),
    )
    expect(() => value('"a" + raw')).toThrow(expect.objectContaining({ hint: 'write text(raw)' }))
    expect(() => value('text(bytes([255 + 0 * msg.n]))')).toThrow(
      expect.objectContaining({ hint: expect.stringMatching(/^write hex\(.+\), or text\(.+, "latin1"\)$/) }),
    )
  })

  test('a secret of the environment is not shown', () => {
    expect(() => value('num(env.TOKEN)')).toThrow(/^num\(env\.TOKEN\): the value is not accepted$/)
    expect(() => value('env.TOKEN * msg.n')).toThrow(/^env\.TOKEN is a text, and \* takes numbers$/)
  })
})

describe('conditions', () => {
  test.each(CONDITIONS)('%s', (expression, result, missing) => {
    let met = 0
    const condition = compileCondition(expression, { ...options, onMissing: () => met++ })
    expect(condition(given!)).toBe(result)
    expect(met).toBe(missing)
  })

  test('a result that is no boolean fails the message', () => {
    expect(() => holds('msg.temp')).toThrow('msg.temp is a number, where true or false is needed')
    expect(() => compileCondition('"a"', options)).toThrow('"a" is a text, where true or false is needed')
  })

  test('arithmetic on a missing key fails in a condition too', () => {
    expect(() => holds('msg.missing * 2 > 5')).toThrow('msg.missing is missing')
  })
})

describe('mistakes found at load', () => {
  test.each(MISTAKES)('%s', (expression, marked, message, hint) => {
    let found: unknown
    try {
      compileExpression(expression, options)
    } catch (error) {
      found = error
    }
    expect(found).toMatchObject({ name: 'ExpressionError', message: expect.stringContaining(message) })
    const { start, end, hint: cure } = found as { start: number; end: number; hint?: string }
    expect(expression.slice(start, end)).toBe(marked)
    if (hint !== '') expect(cure).toBe(hint)
  })

  test('too deep and too long expressions are refused, long ones within the limit work', () => {
    expect(() => compileExpression(`${'('.repeat(200)}1${')'.repeat(200)}`, options)).toThrow(/maxDepth/)
    expect(() => compileExpression(Array(3000).fill('1').join(' + '), options)).toThrow(/maxAstNodes/)
    expect(value(Array(1300).fill('msg.n').join(' + '))).toBe(9100)
  })
})
