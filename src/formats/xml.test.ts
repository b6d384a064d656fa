import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { xml } from './xml.ts'

type Options = Parameters<typeof xml.options.parse>[0]

const create = (options: Options = {}) => xml.create(xml.options.parse(options))
function parse(text: string, options: Options = {}): unknown {
  const bytes = Buffer.from(text)
  return create(options).parse(bytes, 0, bytes.length)
}
const print = (value: unknown, options: Options = {}) => create(options).print(value).toString()

const name = fc.constantFrom('a', 'b', 'item', 'soap:Body', 'ü', '_x.1-y', 'constructor')
const text = fc.string({
  unit: fc.constantFrom('a', '&', '<', '>', '"', "'", ']', ' ', '\n', '\t', '\r', 'é', '😀', ';', '#'),
  maxLength: 6,
})
const attributes = fc.dictionary(
  name.map((one) => `@${one}`),
  text,
  { maxKeys: 2, noNullPrototype: true },
)
/** Values that an element may have: what could also be written in another way is left out. */
const { element } = fc.letrec<{ element: unknown }>((tie) => ({
  element: fc.oneof(
    { maxDepth: 4 },
    text,
    fc
      .tuple(
        attributes,
        text,
        fc.dictionary(name, fc.oneof(tie('element'), fc.array(tie('element'), { minLength: 2, maxLength: 3 })), {
          maxKeys: 3,
          noNullPrototype: true,
        }),
      )
      .map(([attributes, text, children]) => {
        const own = Object.keys(children).length > 0 ? text.replaceAll(/^[\s]*$/g, '') : text
        const value = { ...attributes, ...(own !== '' && { '#text': own }), ...children }
        return Object.keys(value).every((key) => key === '#text') ? own : value
      }),
  ),
}))

describe('any value', () => {
  it.each([{}, { declaration: true }])('survives the way there and back with %o', (options) => {
    fc.assert(
      fc.property(name, element, (name, value) => {
        expect(parse(print({ [name]: value }, options), options)).toEqual({ [name]: value })
      }),
    )
  })

  it('that is cut anywhere is refused', () => {
    fc.assert(
      fc.property(element, fc.nat(), (value, cut) => {
        const whole = Buffer.from(print({ root: value }))
        const part = whole.subarray(0, cut % whole.length)
        expect(() => create().parse(part, 0, part.length)).toThrow(expect.objectContaining({ code: 'format_invalid' }))
      }),
    )
  })
})

describe('a document', () => {
  it('has texts as they are meant', () => {
    expect(parse('<a> x\r\ny\rz&#13;&#x1F600;&lt;&gt;&amp;&quot;&apos; </a>')).toEqual({ a: ' x\ny\nz\r😀<>&"\' ' })
    expect(parse('<a><![CDATA[<b>&amp;]]]]><![CDATA[>\r\n]]></a>')).toEqual({ a: '<b>&amp;]]>\n' })
    expect(parse(`<a x='"' y="'&#10;&#x9;" z="1\r\n2\t3"/>`)).toEqual({
      a: { '@x': '"', '@y': "'\n\t", '@z': '1\n2\t3' },
    })
    expect(parse('<a>007</a>')).toEqual({ a: '007' })
  })

  it('has any character by its number', () => {
    const format = create()
    const read = (text: string) => format.parse(Buffer.from(text), 0, Buffer.byteLength(text))
    const version = fc.constantFrom('', '<?xml version="1.0"?>', '<?xml version="1.1"?>')
    const character = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 1 })
      .filter((one) => /[\t\n\r -\ufffd]/.test(one))
    fc.assert(
      fc.property(version, character, (version, one) => {
        const code = one.codePointAt(0)!
        const document = `${version}<a x="&#${code};">&#x${code.toString(16)};</a>`
        expect(read(document)).toEqual({ a: { '@x': one, '#text': one } })
      }),
    )
  })

  it('may have a mark, a declaration, comments and instructions around it and inside', () => {
    const around = '\ufeff<?xml version="1.0" encoding="utf-8" standalone=\'yes\'?>\n<!-- a --><?b c?>'
    expect(parse(`${around}<a >x<!-- <b> -->y<?pi <b>?></a >\n<?x?><!---->`)).toEqual({ a: 'xy' })
  })

  it('has lists where a name comes again, or where they were asked for', () => {
    const arrays = ['order.item', 'order.none', 'order']
    expect(parse('<order><item/></order>')).toEqual({ order: { item: '' } })
    expect(parse('<order><item/></order>', { arrays })).toEqual({ order: [{ item: [''] }] })
    expect(print({ order: [{ item: [''] }] })).toBe('<order><item/></order>')
    expect(parse('<order>5<item/>6</order>')).toEqual({ order: { '#text': '56', item: '' } })
  })

  it('has numbers where they were asked for', () => {
    const text = '<a x="1"><b>2.50</b><c>007</c><b>x</b></a>'
    expect(parse(text, { numbers: true })).toEqual({ a: { '@x': 1, b: [2.5, 'x'], c: '007' } })
    expect(parse('<a x="1"><b>2</b></a>', { numbers: ['a.@x'] })).toEqual({ a: { '@x': 1, b: '2' } })
    expect(() => parse(text, { numbers: ['a.b'] })).toThrow('"x" is not a number at byte 30, in a.b')
    expect(() => parse('<a x="y"/>', { numbers: ['a.@x'] })).toThrow('"y" is not a number at byte 0, in a.@x')
  })

  it.each([
    [
      '<a><b>é</c></a>',
      "not well-formed: Expected closing tag 'b' (opened in line 1, col 4) instead of closing tag 'c' at byte 8",
    ],
    ['<a>\r\n<b>\n</c></a>', "instead of closing tag 'c' at byte 9"],
    ['<a><b x="1" x="2"/></a>', "not well-formed: Attribute 'x' is repeated at byte 12"],
    ['<a x=1/>', 'a = without a value in quotes at byte 0'],
    ['<a><b =></b></a>', 'a = without a value in quotes at byte 3, in a'],
    ['<a x/>', "not well-formed: boolean attribute 'x' is not allowed at byte 3"],
    ['<a x="1/>', 'a tag that does not end, or has a < or an open quote in it at byte 0'],
    ['<a x="<"/>', 'a tag that does not end, or has a < or an open quote in it at byte 0'],
    ['<a x="1"y="2"/>', "not well-formed: Attribute 'y' has no space in starting at byte 8"],
    ['<a ', 'a tag that does not end, or has a < or an open quote in it at byte 0'],
    ['<a><b>&x;</b></a>', 'the entity &x;, which is not one of XML, at byte 6, in a.b'],
    ['<a>&</a>', 'an & that begins nothing at byte 3, in a'],
    ['<a>&#xd800;</a>', 'an & that begins nothing at byte 3, in a'],
    ['<a>&#x1g;</a>', 'an & that begins nothing at byte 3, in a'],
    ['<a x="&#0;"/>', 'an & that begins nothing at byte 6'],
    ['<a>]]></a>', 'a ]]> in a text at byte 3, in a'],
    ['<a><!-- -- --></a>', 'a -- in a comment at byte 3, in a'],
    ['<a><!-- ', 'a comment that does not end at byte 3, in a'],
    ['<a><![CDATA[</a>', 'a CDATA section that does not end at byte 3, in a'],
    ['<a><?b </a>', 'an instruction that does not end at byte 3, in a'],
    ['<a>', "not well-formed: Unclosed tag 'a' at byte 0"],
    ['<a><b>', 'the frame ends inside of an element at byte 6'],
    ['<a></a', 'a tag that does not end, or has a < or an open quote in it at byte 3, in a'],
    ['</a>', 'no element, where the document must begin at byte 0'],
    ['', 'no element, where the document must begin at byte 0'],
    ['<!-- a -->\n', 'no element, where the document must begin at byte 11'],
    ['\ufeffé<a/>', 'no element, where the document must begin at byte 3'],
    ['x', 'no element, where the document must begin at byte 0'],
    ['<a/><b/>', 'something behind the outermost element at byte 4'],
    ['<a/> x<!-- -->', 'something behind the outermost element at byte 5'],
    ['<a/><![CDATA[x]]>', 'something behind the outermost element at byte 4'],
    ['<a/>&amp;', 'something behind the outermost element at byte 4'],
    ['<a>\x00</a>', 'a character that XML forbids at byte 3'],
    ['<?xml version="2.0"?><a/>', 'not a declaration of XML at byte 0'],
    ['<?xml version="1.0" encoding="latin1"?><a/>', 'says that it is in latin1, and only UTF-8 is read, at byte 0'],
    ['<a><?xml version="1.0"?></a>', 'a declaration that is not at the start at byte 3'],
    ['<a/><?b"?>', 'an instruction without a name, or with an open quote at byte 4'],
    ["<a><?b ' ?><b>1</b><?b ' ?></a>", 'an instruction without a name, or with an open quote at byte 3, in a'],
    ['<1/>', "not well-formed: Tag '1' is an invalid name at byte 2"],
    [`<${'é'.repeat(200)}></b>`, "not well-formed: Expected closing tag 'é"],
  ])('%j is refused with the place', (text, message) => {
    expect(() => parse(text)).toThrow(message)
  })
})

describe('what is hostile', () => {
  it('are entities of its own, which would grow', () => {
    const lines = Array.from({ length: 9 }, (_, i) => `<!ENTITY e${i + 1} "${`&e${i};`.repeat(10)}">`).join('')
    const bomb = `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e0 "lol">${lines}]><a>&e9;</a>`
    expect(() => parse(bomb)).toThrow('a document type or declaration, which is refused, at byte 21')
    expect(() => parse('<a>&constructor;&__proto__;</a>')).toThrow('the entity &constructor;')
  })

  it('are files and addresses', () => {
    const outside = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'
    expect(() => parse(outside)).toThrow('which is refused')
    expect(() => parse('<!DOCTYPE a SYSTEM "http://127.0.0.1/x.dtd"><a/>')).toThrow('which is refused')
  })

  it('is the prototype', () => {
    expect(() => parse('<a><__proto__><x/></__proto__></a>')).toThrow(
      'the name __proto__, which is refused, at byte 3, in a',
    )
    expect(parse('<constructor __proto__="1"/>')).toEqual({ constructor: { '@__proto__': '1' } })
    expect(parse('<a><prototype/><toString>1</toString></a>')).toEqual({ a: { prototype: '', toString: '1' } })
  })

  it('is what is nested deeper than it may be, however deep', () => {
    const nested = (depth: number) => '<a>'.repeat(depth) + '</a>'.repeat(depth)
    expect(parse(nested(64))).toEqual(expect.anything())
    expect(() => parse(nested(65))).toThrow('nested deeper than maxDepth, 64 at byte 192')
    expect(() => parse('<a>'.repeat(300_000))).toThrow('nested deeper than maxDepth')
    expect(parse(nested(1000), { maxDepth: 1000 })).toEqual(expect.anything())
  })

  it('are numbers with millions of digits', () => {
    const digits = '9'.repeat(1_000_000)
    expect(() => parse(`<a>&#${digits};</a>`)).toThrow('an & that begins nothing')
    expect(parse(`<a>${digits}</a>`, { numbers: true })).toEqual({ a: digits })
  })
})

describe('what is written', () => {
  it('are values of all kinds', () => {
    const value = { n: 1.5, t: true, no: null, gone: undefined, at: new Date(0), raw: Buffer.from('hi'), none: [] }
    expect(print({ a: value })).toBe(
      '<a><n>1.5</n><t>true</t><no/><at>1970-01-01T00:00:00.000Z</at><raw>aGk=</raw></a>',
    )
    expect(print({ a: 1 }, { declaration: true })).toBe('<?xml version="1.0" encoding="UTF-8"?><a>1</a>')
  })

  it.each([
    [{ a: 1, b: 2 }, 'a document has one outermost element, so its value is an object with one key'],
    [{ a: [1, 2] }, 'a document has one outermost element, so its value is an object with one key'],
    ['a', 'a document has one outermost element, so its value is an object with one key'],
    [JSON.parse('{"__proto__":1}'), '"__proto__" is no name of an element, in __proto__'],
    [{ 'a b': 1 }, '"a b" is no name of an element, in a b'],
    [{ a: { '@': 1 } }, '"" is no name of an attribute, in a'],
    [{ a: { '@x': { y: 1 } } }, 'an object or a list where a text must stand, in a.@x'],
    [{ a: { b: [[1]] } }, 'a list in a list, in a.b'],
    [{ a: { b: '\x00' } }, 'a character that XML forbids, in a.b'],
    [{ a: '\ud800' }, 'a character that XML forbids, in a'],
    [{ a: () => 1 }, 'no value that can be written, in a'],
  ])('cannot be %o', (value, message) => {
    expect(() => print(value)).toThrow(expect.objectContaining({ code: 'format_not_printable', message }))
  })

  it('cannot be a ring', () => {
    const ring: Record<string, unknown> = {}
    ring['ring'] = ring
    expect(() => print({ ring })).toThrow('nested deeper than maxDepth, 64, in ring.ring')
  })
})

it('what stands in front of attributes cannot begin a name', () => {
  for (const attributes of ['a', '_', ':', '', '#text']) {
    expect(xml.options.safeParse({ attributes }).success).toBe(false)
  }
  expect(parse('<a x="1"/>', { attributes: '$' })).toEqual({ a: { $x: '1' } })
})
