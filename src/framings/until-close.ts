import { defineFraming } from '../contracts/define.ts'
import { size, z } from '../contracts/schema.ts'
import { createAtEnd } from './at-end.ts'
import { limitOptions, limitsInWords, withLimits } from './limits.ts'

const options = z
  .strictObject({
    streamAbove: z
      .union([
        z.literal(false).transform(() => 'off' as const),
        z.literal('off'),
        size().refine((length) => length > 0, 'expected at least one byte'),
      ])
      .optional()
      .describe(
        'Above this size the bytes go on while they arrive, in pieces of this size. off: more is too long for a frame. ' +
          'Default: maxLength.',
      ),
    ...limitOptions(),
  })
  .refine(({ streamAbove, whenTooLong }) => streamAbove === 'off' || whenTooLong === undefined, {
    message: 'what goes on in pieces is never too long: set streamAbove: off, or leave out whenTooLong',
    path: ['whenTooLong'],
  })

/** A whole connection is one frame. */
export const untilClose = defineFraming({
  name: 'until-close',
  summary: 'Takes all that a connection sends, up to its end, as one frame.',
  details:
    'For devices that connect, send one thing and close, such as a print job or a file. A connection that sends nothing ' +
    'gives no frame. The answer still arrives when the other side closes only its own direction (`nc -N`). What is ' +
    'written goes out as it is.\n\n' +
    'Above `streamAbove` the frame is not kept in memory: it goes through the dataflow in pieces, in order, and every ' +
    'message but the last one says `more`. So `file: { path: job.bin, framing: raw }` with `format: bytes` writes a frame ' +
    'of any size, and `reply` with `if: "!more"` answers once. A destination that holds one message for each frame, such ' +
    'as a table, then gets several. With several connections at once the pieces of their frames mix at a destination ' +
    'that they share; `limits: { maxConnections: 1 }` prevents that.\n\n' +
    'A connection that breaks has perhaps not sent all: what is left then is a failed message (`frame_truncated`), and no ' +
    'message without `more` comes. The deadline `limits.frameTimeout` holds for each piece; turn it off for senders that ' +
    'take long.',
  options,
  short: 'streamAbove',
  examples: [
    { title: 'All in one', bytes: 'line one\\nline two\\n', frames: ['line one\\nline two\\n'] },
    { title: 'Pieces of four bytes', options: { streamAbove: 4 }, bytes: 'abcdefghi', frames: ['abcd', 'efgh', 'i'] },
  ],
  alsoCalled: ['eof', 'until-eof', 'connection', 'stream', 'file'],
  inWords({ streamAbove = 'maxLength', ...limits }) {
    const above = typeof streamAbove === 'number' ? `${streamAbove} bytes` : streamAbove
    return (above === 'off' ? 'in one piece' : `in pieces above ${above}`) + limitsInWords(limits)
  },
  create: ({ streamAbove = Number.POSITIVE_INFINITY, ...limits }) =>
    withLimits(
      createAtEnd({ pieceLength: streamAbove === 'off' ? undefined : streamAbove, trustsReset: false }),
      limits,
    ),
})
