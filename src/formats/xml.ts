import { defineFormat } from '../contracts/define.ts'
import type { Format } from '../contracts/format.ts'
import { z } from '../contracts/schema.ts'
import { createReadText, numbersOption } from './numbers.ts'
import { isXmlName } from './xml-characters.ts'
import { XmlReader } from './xml-reader.ts'
import { createXmlTools } from './xml-tools.ts'
import { XmlWriter } from './xml-writer.ts'

/** XML 1.0 (w3.org/TR/xml, fifth edition) without document types. */
export const xml = defineFormat({
  name: 'xml',
  summary: 'The frame is one XML document.',
  details: `The value is an object with one key, the name of the outermost element. An element with nothing but text
is that text; any other is an object: its attributes under \`@name\`, its elements under their names, its own text
under \`#text\`. Elements with the same name are a list.

**One element is no list, two are.** A device that sends one item today and two tomorrow changes the type of
\`msg.order.item\`; name such elements in \`arrays\`, and they are always lists.

Texts are kept as they are, blanks too, and in attributes also tabs and line ends (each line end is LF). Nothing
becomes a number unless \`numbers\` says so. Blanks between elements, comments and processing instructions are left
out, and the order of elements with different names is not kept. Prefixes of namespaces are part of the name:
\`msg["soap:Envelope"]\`.

A document type (\`<!DOCTYPE …>\`) is refused, and with it everything that makes XML dangerous: entities of one's own,
which grow without bound, and files or addresses that are read. The five entities of XML and numbers such as
\`&#176;\` are read. Only UTF-8 is read, and a document that claims to be in something else is refused. Refused too
are the name \`__proto__\`, names with characters above U+FFFF, processing instructions with an open quote, and all
that is not well-formed.

Written are attributes, text and elements in the order of the object; null is an empty element, keys without a value
are left out, bytes are base64.`,
  options: z
    .strictObject({
      arrays: z
        .array(z.string().min(1))
        .default([])
        .describe('Elements that are always lists, each with its way from the outermost: `order.item`. Default none.'),
      attributes: z
        .string()
        .default('@')
        .describe('What stands in front of the name of an attribute: something that no name begins with. Default `@`.'),
      numbers: numbersOption('ways such as `order.item.@qty`'),
      declaration: z
        .boolean()
        .default(false)
        .describe('Writes `<?xml version="1.0" encoding="UTF-8"?>` in front. Default false.'),
      maxDepth: z
        .int()
        .min(1)
        .max(1000)
        .default(64)
        .describe('How deep elements may be nested; a frame that is deeper is refused. Default 64.'),
    })
    .superRefine(({ attributes }, context) => {
      if (attributes !== '' && attributes !== '#text' && !isXmlName(attributes[0]!)) return
      const message = 'a name of an element could begin with it too: take a sign such as @ or $'
      context.addIssue({ code: 'custom', message, path: ['attributes'] })
    }),
  examples: [
    {
      title: 'Texts, attributes and a list',
      bytes: '<order id="7"><item>a</item><item qty="2">b &amp; c</item></order>',
      value: { order: { '@id': '7', item: ['a', { '@qty': '2', '#text': 'b & c' }] } },
    },
    {
      title: 'Blanks between elements',
      bytes: '<?xml version="1.0"?>\\r\\n<a>\\r\\n  <b/>\\r\\n</a>\\r\\n',
      value: { a: { b: '' } },
      prints: '<a><b/></a>',
    },
    {
      title: 'Always a list, and a number',
      options: { arrays: ['order.item'], numbers: ['order.item.@qty'] },
      bytes: '<order><item qty="2">007</item></order>',
      value: { order: { item: [{ '@qty': 2, '#text': '007' }] } },
    },
  ],
  rejects: [
    '',
    'a',
    '<a>',
    '<a></b>',
    '<a/><b/>',
    '<a/>x',
    'x<a/>',
    '<a><b></a></b>',
    '<a x=1/>',
    '<a x="1" x="2"/>',
    '<a x="<"/>',
    '<a x="1"y="2"/>',
    '<a>&b;</a>',
    '<a>&</a>',
    '<a>&#0;</a>',
    '<a>&#xd800;</a>',
    '<a>]]></a>',
    '<a><!-- -- --></a>',
    '<a><![CDATA[</a>',
    '<a>\\x01</a>',
    '<a>\\xff</a>',
    '<1/>',
    '< a/>',
    '<a/',
    '<__proto__/>',
    '<?xml version="1.0" encoding="ISO-8859-1"?><a/>',
    ' <?xml version="1.0"?><a/>',
    '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
    '<a><!DOCTYPE b><b/></a>',
    `${'<a>'.repeat(65)}${'</a>'.repeat(65)}`,
  ],
  create({ arrays, attributes, numbers, declaration, maxDepth }): Format {
    const options = { arrays: new Set(arrays), attributes, readText: createReadText(numbers), declaration, maxDepth }
    const tools = createXmlTools(options)
    const writer = new XmlWriter(tools, options)
    return {
      parse: (bytes, start, end) => new XmlReader(tools, options, bytes, start, end).read(),
      print: (value) => writer.print(value),
    }
  },
})
