import type { SendTarget } from '../contracts/clients.ts'
import { contentText } from '../contracts/codec.ts'
import { defineStep } from '../contracts/define.ts'
import type { Message } from '../contracts/message.ts'
import { endpointName, template, z } from '../contracts/schema.ts'
import { payloadOf, payloadOptions, requireOnePayload } from './payload.ts'
import { tagOptions, tagProblem } from './tagged.ts'

const target = z.union([
  z.literal('all').describe('Every client that is connected.'),
  z
    .strictObject({
      client: template().optional().describe('The id of one client: a text with `${…}`.'),
      ...tagOptions,
      endpoint: endpointName().optional().describe('The name of an endpoint: all its clients.'),
    })
    .superRefine((options, context) => {
      const message = targetProblem(options)
      if (message !== undefined) context.addIssue({ code: 'custom', message })
    }),
])

/** Writes to other clients. */
export const send = defineStep({
  name: 'send',
  summary: 'Writes to other clients: one by its id, those with a tag, those of an endpoint, or all.',
  details:
    "The content is written in the format and framing of each target's own endpoint. The step never waits for a " +
    'client: it has finished when the content is queued. One client that is unknown or does not read is an error; ' +
    'among several, those that do not read are skipped and counted. The message goes on unchanged.',
  options: z
    .strictObject({
      to: target.describe('`{ client: ID }`, `{ tag: NAME, value: EXPRESSION }`, `{ endpoint: NAME }` or `all`.'),
      ...payloadOptions,
      exceptSender: z.boolean().default(false).describe('Leave out the client that sent the message. Default false.'),
    })
    .superRefine(requireOnePayload),
  examples: [
    {
      title: 'Tell everybody else',
      config: { send: { to: 'all', text: '${client.id}: ${msg}', exceptSender: true } },
      given: ['hello'],
      gives: ['hello'],
    },
    {
      title: 'Tell those in the same room',
      config: { send: { to: { tag: 'room', value: 'msg.room' }, value: 'msg', exceptSender: true } },
      given: [{ room: 'kitchen', text: 'tea' }],
      gives: [{ room: 'kitchen', text: 'tea' }],
    },
  ],
  promise: 'sends to other clients',
  create(options, { clients }) {
    const { kind, content } = payloadOf(options)
    const targetOf = createTarget(options.to)
    const { exceptSender } = options
    return {
      run(message) {
        const except = exceptSender ? message.client.id : undefined
        const sent = clients.send(targetOf(message), kind, content(message), except)
        // Clients of another worker are reached through the supervisor.
        return sent instanceof Promise ? sent.then(() => message) : message
      },
    }
  },
})

interface TargetChoice {
  readonly client?: unknown
  readonly tag?: unknown
  readonly value?: unknown
  readonly endpoint?: unknown
}

function targetProblem({ client, tag, value, endpoint }: TargetChoice): string | undefined {
  const given = Object.entries({ client, tag, endpoint }).filter(([, choice]) => choice !== undefined)
  if (given.length === 0) return 'one of client, tag and endpoint is needed'
  if (given.length > 1) return `only one of ${given.map(([name]) => name).join(' and ')}`
  return tagProblem({ tag, value })
}

function createTarget(to: z.output<typeof target>): (message: Message) => SendTarget {
  if (to === 'all') return () => ALL
  const { client, tag, value, endpoint } = to
  if (client !== undefined) return (message) => ({ client: contentText(client(message)).toString() })
  if (tag !== undefined) return (message) => ({ tag, value: contentText(value!(message)).toString() })
  const all: SendTarget = { endpoint: endpoint! }
  return () => all
}

const ALL: SendTarget = { all: true }
