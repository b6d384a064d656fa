import type { MsgHdrs } from '@nats-io/transport-node'
import type { NatsPackage } from '../brokers/nats-connect.ts'
import { contentText } from '../contracts/codec.ts'
import type { PartContext } from '../contracts/context.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Format } from '../contracts/format.ts'
import type { Message } from '../contracts/message.ts'
import type { Expression, Template } from '../contracts/schema.ts'
import type { Publication } from './nats-window.ts'
import { createPayload } from './payload.ts'

/** What a publication is made of. */
interface PublicationOptions {
  readonly subject: Template
  readonly payload?: Template | undefined
  readonly format?: Format | undefined
  readonly headers?: Readonly<Record<string, Template>> | undefined
  readonly jetstream: boolean
  readonly stream?: string | undefined
  readonly messageId?: Expression | undefined
}

/** Gives what is published of a message. The result throws SluiceError when that cannot be published. */
export function createPublisher(
  given: PublicationOptions,
  nats: NatsPackage,
  context: PartContext,
): (message: Message) => Publication {
  const { subject, jetstream, stream } = given
  const payloadOf = createPayload(given, context)
  const headers = Object.entries(given.headers ?? {})
  const idOf = given.messageId ?? (jetstream ? undefined : null)
  const headersOf = (message: Message): MsgHdrs | undefined => {
    if (headers.length === 0 && !jetstream && idOf === null) return undefined
    const result = nats.headers()
    if (idOf !== null) result.set('Nats-Msg-Id', messageId(message, idOf, context.id))
    if (stream !== undefined) result.set('Nats-Expected-Stream', stream)
    for (const [name, value] of headers) result.set(name, headerText(message, value))
    return result
  }
  return (message) => {
    const where = String(contentText(subject(message)))
    const problem = subjectProblem(where)
    if (problem !== undefined) throw new SluiceError('sink_failed', `the subject "${where}" ${problem}`)
    return { subject: where, payload: payloadOf(message), headers: headersOf(message), source: message.source }
  }
}

function messageId(message: Message, idOf: Expression | undefined, step: string): string {
  if (idOf === undefined) return headerValue(`${message.key}/${step}`, 'messageId')
  const id = headerValue(contentText(idOf(message)), 'messageId')
  if (id === '') throw new SluiceError('sink_failed', 'messageId gave nothing for this message')
  return id
}

function headerText(message: Message, value: Template): string {
  return headerValue(contentText(value(message)), 'a header')
}

function headerValue(content: string | Buffer, what: string): string {
  const text = String(content)
  if (/[\r\n]/.test(text)) throw new SluiceError('sink_failed', `${what} has a line break in it`)
  return text
}

/** Longest subject in characters: the server ends a connection whose command line is longer than 4096 bytes. */
const MAX_SUBJECT = 1000

function subjectProblem(subject: string): string | undefined {
  if (subject.length > MAX_SUBJECT) return `has more than ${MAX_SUBJECT} characters`
  if (WHOLE_SUBJECT.test(subject)) return undefined
  return 'is no subject to publish to: it has white space, an empty part, or a * or >'
}

const WHOLE_SUBJECT = /^(?![*>](?:\.|$))[^\s.\0]+(?:\.(?![*>](?:\.|$))[^\s.\0]+)*$/
