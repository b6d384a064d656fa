import type { ASTNode } from '@marcbachmann/cel-js'
import { type Client, clientFields } from '../contracts/client.ts'
import type { ErrorInfo, Message } from '../contracts/message.ts'
import { suggest } from '../util/suggest.ts'
import type { Compiler, Evaluate, Place } from './evaluation.ts'
import { ExpressionError } from './expression-error.ts'
import { readKey } from './values.ts'

/** The names that every expression may use, with what each means. The reference page is made from this. */
export const scopeVariables = {
  msg: 'the decoded value; null for an event and for a frame that could not be decoded',
  raw: 'the bytes of the frame',
  client: 'the other side of the connection, such as client.id, client.ip or client.tags.NAME',
  event: '"message", "connect" or "disconnect"',
  received: 'time at which the last byte of the message was read',
  endpoint: 'name of the endpoint',
  topic:
    'under subscribe: what the broker has filed the message under (subject, topic, channel, stream); null elsewhere',
  key: "what tells the message from all others, also when it is tried again: the endpoint's key, else a text of its own",
  more: 'true when the message is a piece of a frame that is too long for one message and more of it follows; else false',
  state: 'values of this connection, written by set',
  answer: 'in match: the message that has arrived, which may be the one that is waited for; null elsewhere',
  error: 'in onError: error.message, error.code, error.step and error.retryable; null elsewhere',
  env: 'the environment: env.NAME',
} as const

export type ScopeVariable = keyof typeof scopeVariables

const errorFields: Readonly<Record<keyof ErrorInfo, true>> = { message: true, code: true, step: true, retryable: true }

/** What a name or a key of a name gives. */
export interface ScopeValue {
  readonly run: Evaluate
  readonly constant?: { readonly value: string }
}

export function isScopeVariable(name: string): name is ScopeVariable {
  return Object.hasOwn(scopeVariables, name)
}

/** A name that stands alone. */
export function scopeVariable(node: ASTNode, name: ScopeVariable): ScopeValue {
  switch (name) {
    case 'msg':
      return { run: (message) => message.msg ?? null }
    case 'raw':
      return { run: (message) => message.raw }
    case 'client':
      return { run: (message) => snapshot(message.source.client) }
    case 'event':
      return { run: (message) => message.event }
    case 'received':
      return { run: (message) => new Date(message.time) }
    case 'endpoint':
      return { run: (message) => message.source.endpoint }
    case 'topic':
      return { run: (message) => (message.topic === '' ? null : message.topic) }
    case 'key':
      return { run: (message) => message.key }
    case 'more':
      return { run: (message) => message.more }
    case 'state':
      return { run: (message) => ({ ...message.source.state }) }
    case 'answer':
      return { run: (message) => message.answer ?? null }
    case 'error':
      return { run: (message) => message.error ?? null }
    case 'env':
      throw new ExpressionError('env stands alone', node, 'write env.NAME')
  }
}

/**
 * `name.key` of a name that has known keys, or whose keys are read without making the whole value.
 * @param node the whole access, for the position of a mistake
 * @returns undefined for a name that is a value like any other
 */
export function scopeKey(node: ASTNode, name: ScopeVariable, key: string, compiler: Compiler): ScopeValue | undefined {
  switch (name) {
    case 'msg':
      return { run: (message) => readKey(message.msg, key) }
    case 'answer':
      return { run: (message) => readKey(message.answer, key) }
    case 'state':
      return { run: (message) => readKey(message.source.state, key) }
    case 'client':
      requireField(node, name, key, clientFields)
      return { run: clientField(key as keyof Client) }
    case 'error':
      requireField(node, name, key, errorFields)
      return { run: (message) => message.error?.[key as keyof ErrorInfo] ?? null }
    case 'env': {
      requireField(node, name, key, compiler.env)
      const value = compiler.env[key]!
      return { run: () => value, constant: { value } }
    }
    default:
      return undefined
  }
}

/** The error for a name that is neither in scope nor bound around it. */
export function unknownName(node: ASTNode, name: string, place: Place): ExpressionError {
  const near = suggest(name, [...place.names.keys(), ...Object.keys(scopeVariables)])
  const whole = node.input.trim() === name
  const cure = `for the text ${name} write ${whole ? `'"${name}"'` : `"${name}"`}, for the key msg.${name}`
  return new ExpressionError(
    `there is no ${name}`,
    node,
    near === undefined ? cure : `did you mean ${near}? Or ${cure}`,
  )
}

function requireField(node: ASTNode, name: string, key: string, fields: Readonly<Record<string, unknown>>): void {
  if (Object.hasOwn(fields, key)) return
  const near = suggest(key, Object.keys(fields))
  const message = name === 'env' ? `the environment has no ${key}` : `${name} has no ${key}`
  throw new ExpressionError(message, node, near === undefined ? undefined : `did you mean ${name}.${near}?`)
}

function clientField(field: keyof Client): (message: Message) => unknown {
  if (field === 'since') return (message) => new Date(message.source.client.since)
  if (field === 'lastSeen') return (message) => new Date(message.source.client.lastSeen)
  return (message) => message.source.client[field]
}

/** The client as it is now: the live object would change after the expression has been evaluated. */
function snapshot(client: Client): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const field of Object.keys(clientFields)) result[field] = client[field as keyof Client]
  result['since'] = new Date(client.since)
  result['lastSeen'] = new Date(client.lastSeen)
  result['tags'] = { ...client.tags }
  return result
}
