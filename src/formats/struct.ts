import { defineFormat } from '../contracts/define.ts'
import { type Format, invalidAt } from '../contracts/format.ts'
import type { z } from '../contracts/schema.ts'
import { Cursor, FieldFault, type Row, Writer } from './struct-bytes.ts'
import { compileLevel } from './struct-compile.ts'
import type { Level } from './struct-level.ts'
import type { FieldProblem } from './struct-notes.ts'
import { structOptions } from './struct-options.ts'

/** Binary records. */
export const struct = defineFormat({
  name: 'struct',
  summary: 'The frame is a binary record whose fields you declare.',
  options: structOptions.superRefine((options, context) => {
    for (const { path, message } of compile(options).problems) {
      context.addIssue({ code: 'custom', message, path: [...path] })
    }
  }),
  short: 'fields',
  examples: [
    {
      title: 'Numbers',
      options: {
        fields: [
          { name: 'id', type: 'u16' },
          { name: 'temp', type: 'i16', scale: 0.1 },
        ],
      },
      bytes: '\\x00\\x07\\xff\\x38',
      value: { id: 7, temp: -20 },
    },
  ],
  rejects: [],
  create(options): Format<Row> {
    const { level } = compile(options)
    const cursor = new Cursor()
    return {
      parse(bytes, start, end) {
        cursor.open(bytes, start, end)
        try {
          return readFrame(level, cursor)
        } catch (error) {
          if (!(error instanceof FieldFault)) throw error
          throw invalidAt(error.message, bytes, start, end, error.at - bytes.byteOffset)
        }
      },
      print(value) {
        const writer = new Writer(level.minSize + 64)
        level.write(writer, value)
        return writer.take()
      },
    }
  },
})

function readFrame(level: Level, cursor: Cursor): Row {
  const row = level.read(cursor)
  const left = cursor.end - cursor.at
  if (left > 0) throw new FieldFault(`there are ${left} bytes more than the fields have,`, cursor.at)
  return row
}

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
