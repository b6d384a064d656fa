import { defineFormat } from '../contracts/define.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import { type Format, invalidAt } from '../contracts/format.ts'
import { z } from '../contracts/schema.ts'
import { compileKaitai } from './kaitai-compile.ts'
import { type KaitaiType, loadKaitaiType } from './kaitai-type.ts'

const SCALE = `meta:
  id: scale
  endian: be
seq:
  - id: magic
    contents: [0x57]
  - id: net_weight
    type: s4
  - id: name_len
    type: u1
  - id: name
    type: str
    size: name_len
    encoding: UTF-8
instances:
  kg:
    value: net_weight / 1000.0
`

/** Binary formats that are described in the language of Kaitai Struct (doc.kaitai.io/user_guide.html). */
export const kaitai = defineFormat({
  name: 'kaitai',
  summary: 'The frame is read as a `.ksy` file of Kaitai Struct describes it.',
  details: `[Kaitai Struct](https://kaitai.io) is a language for binary formats; its gallery has descriptions of many.
The value is an object with the ids of the \`.ksy\` file, its instances included. It can only be read: nothing can be
written with it, so a \`reply\` needs \`text\` or \`raw\`, and an answer in another format is \`format: { in: {
kaitai: … }, out: … }\`.

The compiler is not part of Sluice, because its licence (GPL) is another one. Install it beside the configuration:
\`npm install kaitai-struct kaitai-struct-compiler\`. It runs in a thread of its own when the configuration is loaded,
for a second or less, and never while messages are read.

Enums are numbers. There is one type of number: an 8-byte integer above 2^53 is a text, so that it keeps its digits. A
text that is not valid in its encoding is refused. Bytes behind what the file describes are left alone; to refuse
them, add a field of that size. Imports are looked for from the folder of the file, and must lie in it.

The file is code that you trust. A description that repeats something without bytes for ever never ends.`,
  options: z.strictObject({
    file: z.string().min(1).describe('The `.ksy` file. A relative path starts at the configuration file.'),
  }),
  short: 'file',
  alsoCalled: ['ksy', 'binary'],
  readOnly: true,
  examples: [
    {
      title: 'A scale',
      options: { file: 'scale.ksy' },
      files: { 'scale.ksy': SCALE },
      bytes: 'W\\0\\00\\xd4\\x02S1',
      value: { magic: Buffer.from('W'), net_weight: 12_500, name_len: 2, name: 'S1', kg: 12.5 },
    },
  ],
  rejects: ['', 'W', 'X\\0\\00\\xd4\\x02S1', 'W\\0\\00\\xd4\\x03S1', 'W\\0\\00\\xd4\\x01\\xff'],
  create({ file }, { resolvePath, resolvePackage }): Format {
    const runtime = resolvePackage('kaitai-struct')
    const compiler = resolvePackage('kaitai-struct-compiler')
    let type: KaitaiType | undefined
    async function load(): Promise<SluiceError | undefined> {
      try {
        type = loadKaitaiType(await compileKaitai(resolvePath(file), compiler), runtime)
        return undefined
      } catch (thrown) {
        return toSluiceError(thrown, 'schema_invalid')
      }
    }
    return {
      ready: load(),
      parse(bytes, start, end) {
        if (type === undefined) throw new SluiceError('internal', 'a format is used before it is ready')
        const result = type.read(bytes, start, end)
        if ('value' in result) return result.value
        throw invalidAt(result.problem, bytes, start, end, start + result.at, result.field)
      },
      print() {
        throw new SluiceError('format_not_printable', 'the format kaitai only reads', {
          hint: 'reply with text: or raw:, or name a format to write: { in: { kaitai: … }, out: json }',
        })
      },
    }
  },
})
