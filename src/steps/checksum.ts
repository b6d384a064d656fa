import { defineStep } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { bytes, z } from '../contracts/schema.ts'
import { type ChecksumName, checksumNames, checksums } from '../util/checksum.ts'
import { formatBytes } from '../util/escapes.ts'
import { suggest } from '../util/suggest.ts'

const algorithm = z.string().superRefine((name, context) => {
  if (isChecksum(name)) return
  const near = suggest(name, checksumNames)
  const params = { hint: near === undefined ? `there are ${checksumNames.join(', ')}` : `did you mean ${near}?` }
  context.addIssue({ code: 'custom', message: `there is no checksum ${name}`, params })
})

const options = z.strictObject({
  algorithm: algorithm.describe(`What is worked out: ${checksumNames.map((name) => `\`${name}\``).join(', ')}.`),
  mode: z
    .enum(['verify', 'append'])
    .default('verify')
    .describe('`verify` fails messages whose checksum is wrong; `append` writes one. Default verify.'),
  hex: z
    .boolean()
    .default(false)
    .describe('The checksum stands there as hexadecimal digits, two for each of its bytes. Default false: as bytes.'),
  endian: z
    .enum(['big', 'little'])
    .default('big')
    .describe(
      'Which of its bytes comes first: the highest (`big`) or the lowest (`little`, as in Modbus RTU). Default big.',
    ),
  at: z.enum(['end', 'start']).default('end').describe('Where the checksum stands. Default end.'),
  between: bytes()
    .optional()
    .describe(
      'What stands between the checksum and the rest, and is not covered: `"*"` in NMEA 0183. Default: nothing.',
    ),
  skip: z.int().min(0).default(0).describe('How many bytes at the beginning of the rest are not covered. Default 0.'),
  keep: z
    .boolean()
    .default(false)
    .describe(
      'When verified, leave the checksum where it is, and the message as it came. Default false: it is taken off.',
    ),
})

/** Verifies the checksum of messages, or writes one. */
export const checksum = defineStep({
  name: 'checksum',
  summary: 'Verifies the checksum in a message and takes it off, or writes one.',
  details: [
    'For messages that are bytes (`format: bytes`) or texts, in any framing. What the framing has taken off, such as STX ' +
      'and ETX, is not covered. A message with a wrong checksum fails with both values in the error, so an `onError` can ' +
      'answer it. Digits are verified in either case, and written in capital letters.',
    'A text is covered as its UTF-8 bytes. A checksum of bytes cannot stand in a text, so use `format: bytes` there, and ' +
      '`map: text(msg)` behind this step. To answer with a checksum, write `append` and `reply` behind it, or the ' +
      'function `checksum()` in the reply.',
  ].join('\n\n'),
  options,
  short: 'algorithm',
  alsoCalled: ['crc', 'lrc', 'bcc'],
  inWords: ({ mode, algorithm }) => `${mode === 'verify' ? 'verifies' : 'writes'} ${algorithm}`,
  examples: [
    {
      title: 'NMEA 0183: two digits behind a star, over what stands behind the dollar sign',
      config: { checksum: { algorithm: 'xor', hex: true, between: '*', skip: 1 } },
      given: ['$GPGLL,4916.45,N,12311.12,W,225444,A*31', '$GPGLL,4916.45,N,12311.12,W,225444,V*31'],
      gives: ['$GPGLL,4916.45,N,12311.12,W,225444,A'],
    },
    {
      title: 'Modbus RTU: two bytes, the lower one first',
      config: {
        dataflow: [
          { map: 'bytes(msg)' },
          { checksum: { algorithm: 'crc16-modbus', endian: 'little' } },
          { map: 'hex(msg)' },
        ],
      },
      given: [[1, 4, 2, 255, 255, 184, 128]],
      gives: ['010402ffff'],
    },
    {
      title: 'Write one',
      config: { checksum: { algorithm: 'crc16-arc', mode: 'append', hex: true, at: 'start' } },
      given: ['123456789'],
      gives: ['BB3D123456789'],
    },
  ],
  create(given) {
    const field = fieldOf(given)
    return { run: given.mode === 'append' ? (message) => append(message, field) : (message) => verify(message, field) }
  },
})

/** How a checksum stands in a message. */
interface Field extends z.output<typeof options> {
  readonly compute: (bytes: Uint8Array) => number
  /** Bytes that it takes, without `between`. */
  readonly length: number
  readonly gap: Buffer
}

function fieldOf(given: z.output<typeof options>): Field {
  const { width, compute } = checksums[given.algorithm as ChecksumName]
  const gap = given.between ?? Buffer.alloc(0)
  return { ...given, compute, gap, length: (width / 8) * (given.hex ? 2 : 1) }
}

function verify(message: Message, field: Field): Message {
  const whole = bytesOf(message.msg, field)
  const { length, gap, at } = field
  const taken = length + gap.length
  if (whole.length < taken + field.skip)
    throw failed(`the message is too short for ${field.algorithm}: "${formatBytes(whole)}"`)
  const isAtEnd = at === 'end'
  const rest = isAtEnd ? whole.subarray(0, whole.length - taken) : whole.subarray(taken)
  const found = isAtEnd ? whole.subarray(whole.length - length) : whole.subarray(0, length)
  const mark = isAtEnd ? whole.subarray(rest.length, rest.length + gap.length) : whole.subarray(length, taken)
  if (!mark.equals(gap)) {
    const where = isAtEnd ? 'before' : 'behind'
    throw failed(`"${formatBytes(gap)}" is missing ${where} the checksum: "${formatBytes(whole)}"`)
  }
  const expected = write(rest, field)
  const isRight = field.hex
    ? found.toString('latin1').toUpperCase() === expected.toString('latin1')
    : found.equals(expected)
  if (!isRight)
    throw failed(`the checksum is wrong: ${show(found, field)} stands there, and ${show(expected, field)} is right`)
  if (field.keep) return message
  return message.with(typeof message.msg === 'string' ? rest.toString() : rest)
}

function append(message: Message, field: Field): Message {
  const content = bytesOf(message.msg, field)
  const { gap, at } = field
  if (content.length < field.skip) throw failed(`the message is shorter than skip: ${field.skip}`)
  const written = write(content, field)
  const whole = Buffer.concat(at === 'end' ? [content, gap, written] : [written, gap, content])
  return message.with(typeof message.msg === 'string' ? whole.toString() : whole)
}

/** The checksum of what is covered, as it stands in a message. */
function write(content: Buffer, { compute, length, hex, endian, skip }: Field): Buffer {
  const width = hex ? length / 2 : length
  const value = Buffer.alloc(width)
  const number = compute(content.subarray(skip))
  if (endian === 'big') value.writeUIntBE(number, 0, width)
  else value.writeUIntLE(number, 0, width)
  return hex ? Buffer.from(value.toString('hex').toUpperCase()) : value
}

function bytesOf(msg: unknown, { hex, gap }: Field): Buffer {
  if (msg instanceof Uint8Array) return Buffer.from(msg.buffer, msg.byteOffset, msg.byteLength)
  if (typeof msg !== 'string') throw failed('the message is neither bytes nor a text')
  if (hex && gap.every((byte) => byte < 0x80)) return Buffer.from(msg)
  throw failed('this checksum cannot stand in a text', 'Read the messages as bytes: format: bytes')
}

function show(value: Buffer, { hex }: Field): string {
  return hex ? `"${formatBytes(value)}"` : value.toString('hex')
}

function isChecksum(name: string): name is ChecksumName {
  return Object.hasOwn(checksums, name)
}

function failed(text: string, hint?: string): SluiceError {
  return new SluiceError('step_failed', `checksum: ${text}`, hint === undefined ? {} : { hint })
}
