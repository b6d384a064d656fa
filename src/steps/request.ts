import type { Clients } from '../contracts/clients.ts'
import { contentText } from '../contracts/codec.ts'
import { defineStep } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { template, z } from '../contracts/schema.ts'
import { intoOption, withResult } from './into.ts'
import { payloadOf, payloadOptions, requireOnePayload } from './payload.ts'
import { waitOf, waitOptions } from './wait-options.ts'

/** Asks a client and goes on with its answer. */
export const request = defineStep({
  name: 'request',
  summary: 'Sends something to a connected client, waits for its answer, and goes on with that.',
  details: `Whom it asks: the client of the message itself, one by its id, or the one that an endpoint has, such as a PLC under \`connect:\`. The content is written in the format and framing of that endpoint, and the answer is read in them.

\`match\` says which message is the answer, so that many can be asked at once. Without it the next message of that client is, and questions are asked one after the other; where the endpoint has a \`poll\`, the answer to that could be taken, so give a \`match\`. When no answer comes in time, the message fails with \`wait_failed\`. A question may have been heard all the same: nothing asks twice by itself. With several \`workers\` it reaches the clients of its own worker only.`,
  options: z
    .strictObject({
      to: z
        .union([
          z.strictObject({ client: template().describe('The id of a client: a text with `${…}`.') }),
          z.strictObject({ endpoint: z.string().min(1).describe('The name of an endpoint that has one client.') }),
        ])
        .optional()
        .describe('`{ client: ID }` or `{ endpoint: NAME }`. Default: the client that the message came from.'),
      ...payloadOptions,
      ...waitOptions,
      into: intoOption,
    })
    .superRefine(requireOnePayload),
  examples: [
    {
      title: 'Ask the client for what is missing',
      config: { request: { text: 'weight of ${msg.barcode}?', match: 'answer.kg != null', into: 'scale' } },
      given: [{ barcode: 'A7' }, { kg: 2.5 }],
      gives: [{ barcode: 'A7', scale: { kg: 2.5 } }],
      replies: ['weight of A7?'],
    },
  ],
  waits: true,
  promise: ({ timeout }) => `asks a client and waits up to ${timeout / 1000} s for its answer`,
  create(options, { clients, codec }) {
    const { kind, content } = payloadOf(options)
    const idOf = createTarget(options.to, clients)
    return {
      async run(message, over) {
        const wait = waitOf(message, options, codec, over)
        const answer = await clients.request(idOf(message), kind, content(message), wait)
        return withResult(message, options.into, answer.msg)
      },
    }
  },
})

type Target = { readonly client: (message: Message) => unknown } | { readonly endpoint: string } | undefined

function createTarget(to: Target, clients: Clients): (message: Message) => string {
  if (to === undefined) return (message) => message.client.id
  if ('client' in to) return (message) => contentText(to.client(message)).toString()
  return () => onlyClientOf(to.endpoint, clients)
}

function onlyClientOf(endpoint: string, clients: Clients): string {
  const [client, another] = clients.list(endpoint)
  if (client === undefined) {
    throw new SluiceError('client_unknown', `no client of "${endpoint}" is connected`, { retryable: true })
  }
  if (another === undefined) return client.id
  const hint = 'Name the one with to: { client: ID }.'
  throw new SluiceError('client_unknown', `"${endpoint}" has several clients`, { hint })
}
