import { defineFormat } from '../contracts/define.ts'
import { type Format, invalidAt } from '../contracts/format.ts'
import type { z } from '../contracts/schema.ts'
import { FieldFault, type Row, viewOf, Writer } from './struct-bytes.ts'
import { compileLevel } from './struct-compile.ts'
import { createReader, createWriter } from './struct-functions.ts'
import type { Level } from './struct-level.ts'
import type { FieldProblem } from './struct-notes.ts'
import { structOptions } from './struct-options.ts'

/** Binary records. */
export const struct = defineFormat({
  name: 'struct',
  summary: 'The frame is a binary record whose fields you declare.',
  details: `A field is a mapping with \`type\` and \`name\`, and the fields stand in the list in the order of the frame. The value is an
object with the named fields; the page "Binary records" of the guide tells how a manual becomes fields.

What can be worked out is checked when a frame is read, and worked out when a value is written: numbers that say how many
items or bytes there are, \`lengthOf\`, checksums and constants. What a value says of these does not count, but a constant
must be right.

Fields that share such a number, as in a record of several kinds, must have the same size, as far as they are there. Where
none of them is, the number is what the value says.

A frame must be used up: more bytes than the fields have are refused, unless the last field takes the \`rest\`. The error says
which field is wrong, and at which byte.

Whole numbers of 56 and 64 bits are numbers where JavaScript's are exact, which is up to 2^53, else texts of their digits.
Scaled values are rounded to the nearest step when they are written.`,
  options: structOptions.superRefine((options, context) => {
    for (const { path, message } of compile(options).problems) {
      context.addIssue({ code: 'custom', message, path: [...path] })
    }
  }),
  short: 'fields',
  alsoCalled: ['binary', 'record', 'layout'],
  inWords: ({ endian, fields }) => `${fields.length} fields, ${endian} endian`,
  examples: [
    {
      title: 'Numbers and a text',
      options: {
        fields: [
          { name: 'id', type: 'u16' },
          { name: 'temp', type: 'i16', scale: 0.1 },
          { name: 'state', type: 'u8', names: { 0: 'off', 1: 'on' } },
          { name: 'label', type: 'text', length: 6 },
        ],
      },
      bytes: '\\x00\\x07\\xff3\\x01Tank\\x00\\x00',
      value: { id: 7, temp: -20.5, state: 'on', label: 'Tank' },
    },
    {
      title: 'Bits, a field that is not always there, and a list',
      options: {
        endian: 'little',
        fields: [
          {
            name: 'flags',
            type: 'bits',
            of: [{ name: 'gps' }, { name: 'ignition' }, { name: 'satellites', bits: 4 }, { bits: 2 }],
          },
          { name: 'speed', type: 'u16', if: 'flags.gps && flags.satellites > 3' },
          { name: 'count', type: 'u8' },
          {
            name: 'samples',
            type: 'array',
            count: 'count',
            of: [
              { name: 'channel', type: 'u8' },
              { name: 'value', type: 'f32' },
            ],
          },
        ],
      },
      bytes: '\\xa4X\\x00\\x02\\x01\\x00\\x00\\xc0?\\x04\\x00\\x00\\x00\\xc0',
      value: {
        flags: { gps: 1, ignition: 0, satellites: 9 },
        speed: 88,
        count: 2,
        samples: [
          { channel: 1, value: 1.5 },
          { channel: 4, value: -2 },
        ],
      },
    },
    {
      title: 'The login of a GPS tracker: constants, a length and a checksum',
      options: {
        fields: [
          { type: 'bytes', equals: 'xx' },
          { name: 'length', type: 'u8', lengthOf: { from: 'kind', to: 'crc' } },
          { name: 'kind', type: 'u8', equals: 1 },
          { name: 'imei', type: 'bcd', length: 8, as: 'text' },
          { name: 'serial', type: 'u16' },
          { name: 'crc', type: 'checksum', algorithm: 'crc16-x25', from: 'length', to: 'serial' },
          { type: 'bytes', equals: '\\r\\n' },
        ],
      },
      bytes: 'xx\\r\\x01\\x01#Eg\\x89\\x01#E\\x00\\x01\\x8c\\xdd\\r\\n',
      value: { length: 13, kind: 1, imei: '0123456789012345', serial: 1, crc: 0x8cdd },
    },
  ],
  rejects: [],
  create(options): Format<Row> {
    const { level } = compile(options)
    const read = createReader(level)
    const write = createWriter(level)
    // Frames of one read share their bytes, and then the view too.
    let bytes: Buffer = Buffer.alloc(0)
    let view = viewOf(bytes)
    return {
      parse(given, start, end) {
        if (given !== bytes) {
          bytes = given
          view = viewOf(given)
        }
        try {
          return read(view, given, start, end)
        } catch (error) {
          if (!(error instanceof FieldFault)) throw error
          throw invalidAt(error.message, given, start, end, error.at)
        }
      },
      print(value) {
        const writer = new Writer(level.size ?? level.minSize + 64)
        write(writer, value)
        return writer.take()
      },
    }
  },
})

function compile(options: z.output<typeof structOptions>): { level: Level; problems: readonly FieldProblem[] } {
  const problems: FieldProblem[] = []
  const { codec } = compileLevel(options.fields, {
    endian: options.endian,
    outer: undefined,
    path: ['fields'],
    label: 'the value',
    prefix: '',
    behind: () => 0,
    problems,
  })
  return { level: codec, problems }
}
