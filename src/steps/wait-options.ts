import type { Codec } from '../contracts/codec.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Format } from '../contracts/format.ts'
import type { Framing } from '../contracts/framing.ts'
import type { Message } from '../contracts/message.ts'
import { condition, duration, type Expression, formatOption, framingOption } from '../contracts/schema.ts'
import type { Wait } from '../contracts/wait.ts'

/** The options with which `expect` and `request` say what they wait for. */
export const waitOptions = {
  match: condition()
    .optional()
    .describe(
      'A condition on `answer`, the message that has arrived, and on everything of the message that waits: `answer.id == msg.id`. Default: the next message.',
    ),
  timeout: duration().default(10_000).describe('How long to wait. Then the message fails. Default 10s.'),
}

/** Those of a step that can read with a framing of its own. */
export const codecOptions = {
  framing: framingOption()
    .optional()
    .describe(
      'Another framing for what is waited for. It reads from where the step begins up to the end of one frame; the rest goes to the framing of the endpoint.',
    ),
  format: formatOption().optional().describe('Another format for it. Default: the one in which the endpoint writes.'),
}

interface WaitChoice {
  readonly match?: Expression<boolean> | undefined
  readonly timeout: number
  readonly framing?: Framing | undefined
  readonly format?: Format | undefined
}

/**
 * Refuses a framing that cannot read a single frame from where a step begins.
 * @throws SluiceError `frame_invalid`
 */
export function requireSingleFrames(framing: Framing | undefined): void {
  const decoder = framing?.createDecoder(1)
  if (decoder?.silence === undefined && decoder?.inPieces !== true) return
  throw new SluiceError('frame_invalid', 'a framing whose frames end by silence or by the close cannot be waited for', {
    hint: 'Name a framing that shows where a frame ends.',
  })
}

/**
 * What a message waits for.
 * @param codec of the endpoint, for what the options leave out
 * @param over aborted when the message has failed already
 */
export function waitOf(
  message: Message,
  { match, timeout, framing, format }: WaitChoice,
  codec: Codec,
  over: AbortSignal | undefined,
): Wait<Message> {
  const own = framing ?? format
  return {
    timeout,
    signal: over,
    matches: match && ((arrived) => match(message.withAnswer(arrived.msg))),
    condition: match && !match.isFunction ? { source: match.source, asker: message } : undefined,
    codec: own && { framing: framing ?? codec.framing, format: format ?? codec.format },
  }
}
