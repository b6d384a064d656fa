import type { Client } from '../contracts/client.ts'
import type { Clients } from '../contracts/clients.ts'
import { contentText } from '../contracts/codec.ts'
import { defineStep } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { type Expression, type Template, template, z } from '../contracts/schema.ts'
import { intoOption, withResult } from './into.ts'
import { hasPayload, payloadOf, payloadOptions, requireOnePayload } from './payload.ts'
import { checkHttpTarget, HttpAsker, httpTarget } from './request-http.ts'
import { tagOptions, tagProblem } from './tagged.ts'
import { waitOf, waitOptions } from './wait-options.ts'

/** Asks somebody and goes on with the answer. */
export const request = defineStep({
  name: 'request',
  summary: 'Asks a connected client or a web server, waits for the answer, and goes on with that.',
  details: `Whom it asks: the client of the message itself, one by its id, the one that has a tag, or the one that an endpoint has, such as a PLC under \`connect:\`. The content is written in the format and framing of that endpoint, and the answer is read in them.

\`match\` says which message is the answer, so that many can be asked at once. Without it the next message of that client is, and questions are asked one after the other; where the endpoint has a \`poll\`, the answer to that could be taken, so give a \`match\`. When no answer comes in time, the message fails with \`wait_failed\`. A question may have been heard all the same: nothing asks twice by itself, and [repeat](repeat.md) does when it is told to. With several \`workers\` it reaches the clients of its own worker only.

A web server is asked with \`to: { http: … }\`. \`timeout\` then covers connecting and the whole answer. An answer in JSON becomes a value, one in \`text/…\` a text, any other bytes, and one without content null. When there is none in time, or its status is not in \`success\`, the message fails with \`request_failed\`; redirects are not followed. With POST and PATCH each question gets a connection of its own, so that it arrives once or not at all, and a header \`Idempotency-Key\`, the key of the message.`,
  options: z
    .strictObject({
      to: z
        .strictObject({
          client: template().optional().describe('The id of a client: a text with `${…}`.'),
          ...tagOptions,
          endpoint: z.string().min(1).optional().describe('The name of an endpoint that has one client.'),
          http: httpTarget.optional().describe('A web server.'),
        })
        .superRefine((to, context) => {
          const message = targetProblem(to)
          if (message !== undefined) context.addIssue({ code: 'custom', message })
        })
        .optional()
        .describe(
          '`{ client: ID }`, `{ tag: NAME, value: EXPRESSION }`, `{ endpoint: NAME }` or `{ http: { url: … } }`. Default: the client that the message came from.',
        ),
      ...payloadOptions,
      ...waitOptions,
      into: intoOption,
    })
    .superRefine((options, context) => {
      const { to, match } = options
      const isHttp = to?.http !== undefined
      if (!isHttp || hasPayload(options)) requireOnePayload(options, context)
      if (!isHttp || match === undefined) return
      const message = 'an answer over HTTP belongs to its question, so match has no meaning'
      context.addIssue({ code: 'custom', message, path: ['match'] })
    }),
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
  check: ({ to }, context) => (to?.http === undefined ? [] : checkHttpTarget(to.http, context)),
  promise: ({ to, timeout }) =>
    `asks ${to?.http === undefined ? 'a client' : 'a web server'} and waits up to ${timeout / 1000} s for its answer`,
  create(options, context) {
    const { to, timeout, into } = options
    if (to?.http !== undefined) {
      const payload = hasPayload(options) ? payloadOf(options) : undefined
      const asker = new HttpAsker(to.http, payload, timeout, context)
      return {
        run: async (message) => withResult(message, into, await asker.ask(message)),
        close: () => asker.close(),
      }
    }
    const { clients, codec } = context
    const { kind, content } = payloadOf(options)
    const idOf = createTarget(to ?? {}, clients)
    return {
      async run(message, over) {
        const wait = waitOf(message, options, codec, over)
        const answer = await clients.request(idOf(message), kind, content(message), wait)
        return withResult(message, into, answer.msg)
      },
    }
  },
})

interface Target {
  readonly client?: Template | undefined
  readonly tag?: string | undefined
  readonly value?: Expression | undefined
  readonly endpoint?: string | undefined
}

function targetProblem({ value, ...to }: { readonly tag?: unknown; readonly value?: unknown }): string | undefined {
  if (Object.keys(to).length !== 1) return 'one of client, tag, endpoint and http is needed'
  return tagProblem({ ...to, value })
}

function createTarget({ client, tag, value, endpoint }: Target, clients: Clients): (message: Message) => string {
  if (client !== undefined) return (message) => contentText(client(message)).toString()
  if (endpoint !== undefined) return () => onlyOne(clients.list(endpoint), `of "${endpoint}"`)
  if (tag === undefined) return (message) => message.client.id
  return (message) => {
    const text = contentText(value!(message)).toString()
    const tagged = clients.list().filter(({ tags }) => tags[tag] === text)
    return onlyOne(tagged, `whose tag ${tag} is "${text}"`)
  }
}

function onlyOne([client, another]: readonly Client[], which: string): string {
  if (client === undefined) {
    throw new SluiceError('client_unknown', `no client ${which} is connected`, { retryable: true })
  }
  if (another === undefined) return client.id
  const hint = 'Name the one with to: { client: ID }.'
  throw new SluiceError('client_unknown', `there are several clients ${which}`, { hint })
}
