import { contentText } from '../contracts/codec.ts'
import { defineStep } from '../contracts/define.ts'
import type { Message } from '../contracts/message.ts'
import { bytes, type Template, template, z } from '../contracts/schema.ts'
import { formatBytes } from '../util/escapes.ts'
import { HL7_CODES } from './ack-hl7.ts'
import type { AckProtocol } from './ack-protocol.ts'
import { ackProtocols, ofBytes } from './ack-protocols.ts'

type Name = keyof typeof ackProtocols

const names = Object.keys(ackProtocols) as [Name, ...Name[]]

/** Answers the sender as its protocol wants it. */
export const ack = defineStep({
  name: 'ack',
  summary: 'Acknowledges the message to its sender, as its protocol wants it.',
  details: `Like \`reply\`, with an answer that the protocol prescribes. Behind a sink it says that the sink has delivered. In an \`onError\` it says that the message has failed, in the place of that message's answer.

| protocol | where the message has come through | in \`onError\` |
|---|---|---|
| \`hl7\` | an ACK with \`AA\` in MSA-1 | \`AE\`; \`AR\` for what framing or format has refused |
| \`mllp\` | a block that holds ACK, 0x06 (MLLP release 2) | a block that holds NAK, 0x15 |
| \`stx-etx\` | the byte ACK, 0x06, without framing | the byte NAK, 0x15 |

\`\`\`yaml
dataflow:
  - sqlite: { file: hl7.db, table: messages, columns: { id: 'msg.get("MSH-10")', message: raw } }
  - ack: hl7
onError:
  - ack: hl7
  - deadLetter: {}
\`\`\`

The answer of \`hl7\` is built from the frame as it came, so earlier steps may change the message. Sender and receiver are swapped, MSH-9 is \`ACK\` with the trigger event of the message, MSH-10 is new, MSH-11, MSH-12 and MSH-18 are copied, and MSA-2 is the control id of the message (HL7 v2.5.1, 2.9.2 and 2.14.1). When a message failed, MSA-3 says why; \`text: ""\` keeps that to yourself.`,
  options: z
    .strictObject({
      protocol: z.enum(names).optional().describe('The protocol of the sender.'),
      bytes: z
        .strictObject({
          ok: bytes().describe('What is sent for a message that has come through.'),
          error: bytes().describe('What is sent for one that has failed.'),
        })
        .optional()
        .describe('Other bytes, sent as they are, without framing: `{ ok: "\\x06", error: "\\x15" }`.'),
      code: z
        .enum(HL7_CODES)
        .optional()
        .describe('For hl7: what stands in MSA-1, such as `CA`. Default: AA, AE or AR as the table says.'),
      text: template()
        .optional()
        .describe('For hl7: what stands in MSA-3, a text with `${…}`. Default: what has failed, if anything.'),
    })
    .superRefine(({ protocol, bytes, code, text }, context) => {
      const fault = (message: string, path: string[] = []) => context.addIssue({ code: 'custom', message, path })
      if (protocol === undefined && bytes === undefined) fault('protocol is missing, such as ack: hl7, or bytes')
      if (protocol !== undefined && bytes !== undefined) fault('only one of protocol and bytes')
      const takesCode = protocol !== undefined && protocolOf(protocol).takesCode === true
      if (code !== undefined && !takesCode) fault('only hl7 has a code', ['code'])
      if (text !== undefined && !takesCode) fault('only hl7 has a text', ['text'])
    }),
  short: 'protocol',
  alsoCalled: ['acknowledge', 'nak'],
  inWords: (options) => protocolIn(options).words,
  examples: [
    {
      title: 'Bytes of your own, with a line end in them',
      config: { ack: { bytes: { ok: '\\x06\\n', error: '\\x15\\n' } } },
      given: [{ kg: 7 }],
      gives: [{ kg: 7 }],
      replies: ['\x06'],
    },
    {
      title: 'What failed is refused',
      config: { map: 'msg.kg * 1000', onError: [{ ack: 'mllp' }] },
      given: [{ kg: 2 }, {}],
      gives: [2000],
      replies: ['\x15'],
    },
  ],
  answers: true,
  promise: 'acknowledges with',
  create(options, { clock }) {
    const protocol = protocolIn(options)
    const { code, text } = options
    return {
      run(message) {
        const choice = { code, text: text && textFor(message, text) }
        const { kind, content } = protocol.answer(message, choice, clock)
        message.source.reply(message.sequence, kind, content)
        return message
      },
    }
  },
})

function textFor(message: Message, text: Template): string {
  return contentText(text(message)).toString()
}

interface Choice {
  readonly protocol?: Name | undefined
  readonly bytes?: { readonly ok: Buffer; readonly error: Buffer } | undefined
}

/** The schema has seen to it that there is one of the two. */
function protocolIn({ protocol, bytes }: Choice): AckProtocol {
  if (protocol !== undefined) return protocolOf(protocol)
  const { ok, error } = bytes!
  return ofBytes('raw', ok, error, `"${formatBytes(ok)}" (what failed: "${formatBytes(error)}")`)
}

function protocolOf(name: Name): AckProtocol {
  return ackProtocols[name]
}
