import { contentText } from '../contracts/codec.ts'
import type { PartContext } from '../contracts/context.ts'
import type { Format } from '../contracts/format.ts'
import type { Message } from '../contracts/message.ts'
import { formatOption, type Template, template } from '../contracts/schema.ts'

/** The options with which a sink of brokers says what of a message it sends. */
export const payloadOptions = {
  payload: template()
    .optional()
    .describe(
      'What is sent: a text in which `${…}` is evaluated. One `${…}` alone may give bytes, and an object becomes JSON. ' +
        'Default: the message, in the format.',
    ),
  format: formatOption()
    .optional()
    .describe("How a message is written when there is no `payload`. Default: the endpoint's format."),
}

interface PayloadOptions {
  readonly payload?: Template | undefined
  readonly format?: Format | undefined
}

/**
 * Gives the bytes or the text of a message. A message that nobody changed is the bytes it came as.
 * @returns a function that throws SluiceError `format_not_printable` or `expression_failed`
 */
export function createPayload(
  { payload, format: given }: PayloadOptions,
  context: PartContext,
): (message: Message) => string | Buffer {
  if (payload !== undefined) return (message) => contentText(payload(message))
  const format = given ?? context.codec.format
  return (message) => (message.verbatim === format ? message.raw : format.print(message.msg))
}
