import { checkTcpAddress, showTcpAddress, type TcpAddress } from '../brokers/tcp-address.ts'
import type { RequestTarget } from '../contracts/clients.ts'
import { contentText } from '../contracts/codec.ts'
import { defineStep } from '../contracts/define.ts'
import type { Message } from '../contracts/message.ts'
import { type Expression, endpointName, type Template, template, z } from '../contracts/schema.ts'
import { intoOption, withResult } from './into.ts'
import { hasPayload, payloadOf, payloadOptions, requireOnePayload } from './payload.ts'
import { checkHttpTarget, HttpAsker, httpTarget } from './request-http.ts'
import { TcpAsker, tcpTarget } from './request-tcp.ts'
import { tagOptions, tagProblem } from './tagged.ts'
import { waitOf, waitOptions } from './wait-options.ts'

/** Asks somebody and goes on with the answer. */
export const request = defineStep({
  name: 'request',
  summary: 'Asks a connected client, a TCP service or a web server, waits for the answer, and goes on with that.',
  details: `Whom it asks: the client of the message itself, one by its id, the one that has a tag, or the one that an endpoint has, such as a PLC under \`connect:\`. The content is written in the format and framing of that endpoint, and the answer is read in them.

\`match\` says which message is the answer, so that many can be asked at once. Without it the next message of that client is that arrives behind the question, and questions are asked one after the other, those of a \`poll\` of the endpoint included: the request waits until the poll is answered or its time is over, and no poll is sent while the request waits. When no answer comes in time, the message fails with \`wait_failed\`, and without \`match\` the connection is closed behind what is still to be sent on it: nothing could tell a late answer from that to the next question (\`whenTimedOut: forget\` leaves it open). A question may have been heard all the same: nothing asks twice by itself, and [repeat](repeat.md) does when it is told to. With several \`workers\` it reaches the clients of all of them, unless \`match\` is a function or a value that is read with \`get\` would have to travel, as those of the format \`hl7\`. That a tag is one client's alone is then seen in each worker by itself.

A TCP service is asked with \`to: { tcp: … }\`. It is connected to when it is asked for the first time, and the connection is kept for the next questions. \`timeout\` covers connecting, which is tried again until then, waiting for a turn, and the answer; then the message fails with \`request_failed\`. Without \`match\` a question is sent when the one before has been answered, and an answer that does not come ends the connection, so that it is never taken for that to another question. With \`match\` many are under way, and their answers come in any order. What answers no question is dropped. For a service that closes behind each answer write \`connection: perMessage\`. What the service should send by itself needs an endpoint under \`connect:\`.

A web server is asked with \`to: { http: … }\`. \`timeout\` then covers connecting and the whole answer. An answer in JSON becomes a value, one in \`text/…\` a text, any other bytes, and one without content null. When there is none in time, or its status is not in \`success\`, the message fails with \`request_failed\`; redirects are not followed. With POST and PATCH each question gets a connection of its own, so that it arrives once or not at all, and a header \`Idempotency-Key\`, the key of the message.`,
  options: z
    .strictObject({
      to: z
        .strictObject({
          client: template().optional().describe('The id of a client: a text with `${…}`.'),
          ...tagOptions,
          endpoint: endpointName().optional().describe('The name of an endpoint that has one client.'),
          tcp: tcpTarget.optional().describe('A TCP service.'),
          http: httpTarget.optional().describe('A web server.'),
        })
        .superRefine((to, context) => {
          const message = targetProblem(to)
          if (message !== undefined) context.addIssue({ code: 'custom', message })
        })
        .optional()
        .describe(
          '`{ client: ID }`, `{ tag: NAME, value: EXPRESSION }`, `{ endpoint: NAME }`, `{ tcp: { host: …, port: … } }` or `{ http: { url: … } }`. Default: the client that the message came from.',
        ),
      ...payloadOptions,
      ...waitOptions,
      whenTimedOut: z
        .enum(['close', 'forget'])
        .optional()
        .describe(
          'What becomes of the connection of a client that has not answered a question without `match`. `close`, the default: it is closed, so that a late answer is never taken for that to the next question. `forget`: it stays, for a client that leaves questions unanswered and never answers late.',
        ),
      into: intoOption,
    })
    .superRefine((options, context) => {
      const { to, match, whenTimedOut } = options
      const isHttp = to?.http !== undefined
      if (!isHttp || hasPayload(options)) requireOnePayload(options, context)
      if (whenTimedOut !== undefined && (match !== undefined || isHttp || to?.tcp !== undefined)) {
        const message = 'it is for a question to a client without match: any other answer belongs to its question'
        context.addIssue({ code: 'custom', message, path: ['whenTimedOut'] })
      }
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
    {
      title: 'Ask a service on another machine, which is one of Sluice here',
      config: {
        request: {
          to: { tcp: { host: 'prices.local', port: 4000, format: 'text' } },
          text: 'PRICE ${msg.id}',
          into: 'price',
        },
      },
      given: [{ id: 'A7' }, { id: 'B2' }],
      gives: [
        { id: 'A7', price: 'A7 0.99' },
        { id: 'B2', price: 'B2 0.99' },
      ],
      listen: {
        prices: {
          port: 4000,
          framing: 'line',
          format: 'text',
          dataflow: [{ reply: '${msg.after("PRICE ")} 0.99' }],
        },
      },
    },
  ],
  waits: true,
  check: ({ to }, context) => {
    if (to?.tcp !== undefined) {
      return checkTcpAddress(to.tcp, context).map((one) => ({ ...one, path: ['to', 'tcp', ...one.path] }))
    }
    return to?.http === undefined ? [] : checkHttpTarget(to.http, context)
  },
  promise: ({ to, timeout }) => `asks ${inWords(to)} and waits up to ${timeout / 1000} s for its answer`,
  create(options, context) {
    const { to, timeout, into } = options
    if (to?.http !== undefined) {
      const payload = hasPayload(options) ? payloadOf(options) : undefined
      const asker = new HttpAsker(to.http, payload, timeout, context)
      return {
        run: async (message, over) => withResult(message, into, await asker.ask(message, over)),
        close: () => asker.close(),
      }
    }
    const { clients, codec } = context
    const { kind, content } = payloadOf(options)
    if (to?.tcp !== undefined) {
      const asker = new TcpAsker(to.tcp, { kind, content, match: options.match, timeout }, context)
      return {
        run: async (message, over) => withResult(message, into, await asker.ask(message, over)),
        close: () => asker.close(),
      }
    }
    const targetOf = createTarget(to ?? {})
    return {
      async run(message, over) {
        const question = { ...waitOf(message, options, codec, over), whenTimedOut: options.whenTimedOut }
        const answer = await clients.request(targetOf(message), kind, content(message), question)
        return withResult(message, into, answer)
      },
    }
  },
})

/** Whom it asks. */
function inWords(to: { readonly tcp?: TcpAddress | undefined; readonly http?: unknown } = {}): string {
  if (to.tcp !== undefined) return `the TCP service ${showTcpAddress(to.tcp)}`
  return to.http === undefined ? 'a client' : 'a web server'
}

interface Target {
  readonly client?: Template | undefined
  readonly tag?: string | undefined
  readonly value?: Expression | undefined
  readonly endpoint?: string | undefined
}

function targetProblem({ value, ...to }: { readonly tag?: unknown; readonly value?: unknown }): string | undefined {
  if (Object.keys(to).length !== 1) return 'one of client, tag, endpoint, tcp and http is needed'
  return tagProblem({ ...to, value })
}

function createTarget({ client, tag, value, endpoint }: Target): (message: Message) => RequestTarget {
  if (client !== undefined) return (message) => ({ client: contentText(client(message)).toString() })
  if (endpoint !== undefined) return () => ({ endpoint })
  if (tag === undefined) return (message) => ({ client: message.client.id })
  return (message) => ({ tag, value: contentText(value!(message)).toString() })
}
