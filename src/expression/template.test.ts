import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createMessages } from '../testing/part-context.ts'
import { ExpressionError } from './expression-error.ts'
import { compileBytesTemplate, compileTemplate } from './template.ts'

const env = { SITE: 'north' }
const [given] = createMessages([
  { device: 'A7', n: 7, list: [1, 2], map: { a: 1 }, raw: Buffer.from([0xff]), at: new Date(0), quote: '}' },
])

const text = (source: string, escapes = false) => compileTemplate(source, { env, escapes })(given!)
const bytes = (source: string) => compileBytesTemplate(source, { env })(given!)

function mistake(run: () => unknown): {
  marked: (source: string) => string
  message: string
  hint: string | undefined
} {
  try {
    run()
  } catch (error) {
    if (!(error instanceof ExpressionError)) throw error
    return { marked: (source) => source.slice(error.start, error.end), message: error.message, hint: error.hint }
  }
  throw new Error('there was no mistake')
}

describe('a text', () => {
  test.each<[string, unknown]>([
    ['OK', 'OK'],
    ['', ''],
    ['OK ${msg.device}', 'OK A7'],
    ['${msg.device}-${msg.n}', 'A7-7'],
    ['${msg.n}', 7],
    ['${msg.list}', [1, 2]],
    [' ${msg.n}', ' 7'],
    ['list ${msg.list}, map ${msg.map}', 'list [1,2], map {"a":1}'],
    ['at ${msg.at}', 'at 1970-01-01T00:00:00.000Z'],
    ['none: ${msg.missing}.', 'none: .'],
    ['$${msg.n}', '${msg.n}'],
    ['a $${ b', 'a ${ b'],
    ['${msg.n}$${x}${msg.n}', '7${x}7'],
    ['cost $5 {x}', 'cost $5 {x}'],
    ['${{"a": msg.n}.a}', 7],
    ['a${msg.map.map(k, {k: "}"})}', 'a[{"k":"}"}]'],
    ['${"}" + msg.device}', '}A7'],
    ["${'\"}' + msg.device}!", '"}A7!'],
    ['${"a\\"}b"}', 'a"}b'],
    ['${r"""a"}b"""}', 'a"}b'],
    ['${msg.quote}${msg.quote}', '}}'],
    ['\\r ${msg.n}', '\\r 7'],
    ['${env.SITE}', 'north'],
  ])('%s', (source, result) => {
    expect(text(source)).toEqual(result)
  })

  test('decodes escapes outside of ${…} when asked', () => {
    expect(text('a\\r\\n${msg.n}\\x02$${\\t', true)).toBe('a\r\n7\x02${\t')
    expect(text('${"\\n"}\\n', true)).toBe('\n\n')
  })

  test('takes bytes that are UTF-8, and no others', () => {
    const [utf8] = createMessages([Buffer.from('é')])
    const [other] = createMessages([Buffer.from('a\xffb', 'latin1')])
    const mixed = compileTemplate('got ${ msg }', { env })
    expect(mixed(utf8!)).toBe('got é')
    expect(() => mixed(other!)).toThrow(
      expect.objectContaining({
        code: 'expression_failed',
        message: 'msg is bytes that are no UTF-8 text',
        hint: 'write hex(msg), or use raw:',
      }),
    )
    expect(compileTemplate('${msg}', { env })(other!)).toEqual(other!.msg)
  })

  test('for people shows bytes with escapes, whatever they are', () => {
    const [given] = createMessages([Buffer.from('a\xffb\r', 'latin1')])
    expect(compileTemplate('got ${msg}', { env, showBytes: true })(given!)).toBe('got a\\xffb\\r')
  })

  test('knows the message itself', () => {
    expect(compileTemplate('${msg}', { env }).isMessage).toBe(true)
    expect(compileTemplate('${ msg }', { env }).isMessage).toBe(true)
    expect(compileTemplate('${msg.n}', { env }).isMessage).toBe(false)
    expect(compileTemplate('x${msg}', { env }).isMessage).toBe(false)
  })
})

describe('bytes', () => {
  test.each<[string, string]>([
    ['', ''],
    ['\\x02A\\xff', '0241ff'],
    ['\\x02${msg.device}\\r', '024137' + '0d'],
    ['${msg.raw}', 'ff'],
    ['${msg.n}', '37'],
    ['é${"é"}', 'e9' + 'c3a9'],
    ['$${', '247b'],
    ['${msg.missing}', ''],
  ])('%s', (source, hex) => {
    expect(bytes(source).toString('hex')).toBe(hex)
  })
})

describe('a mistake', () => {
  test.each<[string, string, string, string | undefined]>([
    ['OK ${msg.device', '${msg.device', '${ is not closed', 'write $${ for the text ${'],
    ['OK ${msg.a + "}', '"}', 'a quote is not closed', undefined],
    ['OK ${}', '', 'the expression is empty', undefined],
    [
      'OK ${mgs.id}!',
      'mgs',
      'there is no mgs',
      'did you mean msg? Or for the text mgs write "mgs", for the key msg.mgs',
    ],
    ['${msg.a} ${msg.b and 1}', 'and', 'unexpected and', 'write &&'],
  ])('%s', (source, marked, message, hint) => {
    const found = mistake(() => text(source))
    expect({ ...found, marked: found.marked(source) }).toEqual({ marked, message, hint })
  })

  test('in an escape has its place in the whole text', () => {
    const source = '${msg.n} a\\q'
    expect(mistake(() => text(source, true)).marked(source)).toBe('\\q')
    expect(mistake(() => bytes(source)).marked(source)).toBe('\\q')
  })
})

test('any text can be written as a template and comes back', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('$', '{', '}', '"', "'", '\\', 'a', 'é') }), (written) => {
      expect(text(written.replaceAll('${', () => '$${'))).toBe(written)
    }),
  )
})

test('any text can stand inside an expression of a template', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (inside, around) => {
      const literal = around.replaceAll('$', '').replaceAll('\\', '')
      expect(text(`<${literal}\${${JSON.stringify(inside).replaceAll('\x7f', '')}}${literal}>`)).toBe(
        `<${literal}${inside.replaceAll('\x7f', '')}${literal}>`,
      )
    }),
  )
})
