import { createRequire } from 'node:module'
import { defineFormat } from '../contracts/define.ts'
import type { Format } from '../contracts/format.ts'
import { z } from '../contracts/schema.ts'
import { decodeMessage } from './protobuf-decode.ts'
import { encodeMessage } from './protobuf-encode.ts'
import { loadMessageType } from './protobuf-schema.ts'

const TRACKER = `syntax = "proto3";
package fleet;

enum State { IDLE = 0; DRIVING = 1; }

message Report {
  string device = 1;
  sint32 temp = 2;
  uint64 odometer_m = 3;
  State state = 4;
  repeated double position = 5;
  bytes extra = 6;
}
`

/** Protocol Buffers (protobuf.dev/programming-guides/encoding), with a `.proto` file of the operator. */
export const protobuf = defineFormat({
  name: 'protobuf',
  summary: 'The frame is one Protobuf message of a type in your `.proto` file.',
  details: `The value is an object with the names of the \`.proto\` file. Fields that were not sent have their
default, as Protobuf means it: a proto3 sender leaves out a number that is 0. \`defaults: false\` leaves them out.
Messages that were not sent, and the parts of a \`oneof\`, have no default.

Enums are the names of their values (a number where it has no name), \`bytes\` are bytes. There is one type of number:
64-bit integers above 2^53 are texts, so that they keep their digits, and may be written as texts. Fields that the
type does not have are skipped, as Protobuf wants it.

Protobuf does not say where a message ends: use a framing, most often \`length-prefix\`.

Imports are looked for from the folder of the file, and must lie in it. The types that come with Protobuf
(\`google/protobuf/timestamp.proto\`) are there. The file is code that you trust: never let a stranger write it.

Written is an object with the fields of the type; a name that the type does not have and a value of another type are
refused. A time can be written into a \`google.protobuf.Timestamp\`. Read it is an object with \`seconds\` and \`nanos\`, which
are finer than a time.`,
  options: z.strictObject({
    file: z.string().min(1).describe('The `.proto` file. A relative path starts at the configuration file.'),
    message: z
      .string()
      .min(1)
      .optional()
      .describe('The type of the messages, such as `fleet.Report`. Default: the only one of the file.'),
    defaults: z
      .boolean()
      .default(true)
      .describe('Gives fields that were not sent their default. With false they are absent. Default true.'),
  }),
  short: 'file',
  alsoCalled: ['proto', 'proto3', 'grpc'],
  inWords: ({ file, message }) => (message === undefined ? file : `${message} of ${file}`),
  examples: [
    {
      title: 'A report of a vehicle',
      options: { file: 'tracker.proto', message: 'fleet.Report' },
      files: { 'tracker.proto': TRACKER },
      bytes: '\\n\\x02v7\\x10\\x05\\x18\\xd2\\x09 \\x01',
      value: {
        device: 'v7',
        temp: -3,
        odometer_m: 1234,
        state: 'DRIVING',
        position: [],
        extra: Buffer.alloc(0),
      },
    },
    {
      title: 'Only what was sent',
      options: { file: 'tracker.proto', defaults: false },
      files: { 'tracker.proto': TRACKER },
      bytes: '\\x18\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x01',
      value: { odometer_m: '18446744073709551615' },
    },
  ],
  rejects: [
    '\\n',
    '\\n\\x05ab',
    '\\n\\xff\\xff\\xff\\xff\\x0f',
    '\\n\\x01\\xff',
    '\\x18\\xff',
    '\\0',
    '\\x07',
    '*\\x07\\0',
    '\\x0c',
  ],
  create({ file, message, defaults }, { resolvePath }): Format {
    const library: typeof import('protobufjs') = createRequire(import.meta.url)('protobufjs')
    const type = loadMessageType(library, resolvePath(file), message)
    return {
      parse: (bytes, start, end) => decodeMessage(library, type, bytes, start, end, defaults),
      print: (value) => encodeMessage(library, type, value),
    }
  },
})
