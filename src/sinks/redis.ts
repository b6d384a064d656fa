import { checkTls } from '../brokers/client-tls.ts'
import { connectRedis, type RedisPackage } from '../brokers/redis-link.ts'
import { readRedisTarget, redisConnection, requirePassword } from '../brokers/redis-options.ts'
import type { Command } from '../brokers/redis-transaction.ts'
import { contentText } from '../contracts/codec.ts'
import type { PartContext } from '../contracts/context.ts'
import { defineSink } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { expr, type Template, template, withoutProto, z } from '../contracts/schema.ts'
import { BrokerSink, shareBroker } from './broker.ts'
import { createPayload, payloadOptions } from './payload.ts'

const fields = withoutProto(
  z.record(z.string().min(1), expr()).refine((all) => Object.keys(all).length > 0, 'name at least one field'),
)

const options = z
  .strictObject({
    stream: template().optional().describe('Key of a stream; each message becomes an entry (XADD).'),
    list: template().optional().describe('Key of a list; each message becomes an element (RPUSH or LPUSH).'),
    publish: template().optional().describe('Channel to publish to (PUBLISH); nothing is kept.'),
    fields: fields
      .optional()
      .describe(
        'Of a stream: names of the fields of an entry, each with an expression for its value. Default: one field `value`.',
      ),
    ...payloadOptions,
    maxLength: z
      .int()
      .min(1)
      .optional()
      .describe('Of a stream: about how many entries are kept; older ones are dropped. Default: all.'),
    side: z
      .enum(['right', 'left'])
      .optional()
      .describe('Of a list: the end at which elements are added. Default: right.'),
    ...redisConnection,
    fsync: z
      .boolean()
      .default(false)
      .describe(
        'The server must sync to disk before it answers (`appendfsync always`), so that a message survives a power cut; ' +
          'a server that does not is refused. Default: false.',
      ),
  })
  .superRefine(requireOneTarget)

/** Writes to Redis. */
export const redis = defineSink({
  name: 'redis',
  summary: 'Adds each message to a stream or a list of Redis, or publishes it to a channel.',
  details: [
    'Needs the package `redis`. Exactly one of `stream`, `list` and `publish` is given; each is a text in which `${…}` is ' +
      'evaluated.',
    'The messages of many connections are written in one transaction (MULTI … EXEC), and each has its own reply: one that ' +
      'Redis refuses, because its key holds something else say, fails alone. While Redis is loading, full, read-only after a ' +
      'failover or cannot save, nothing of the transaction is done, and all of it is tried again in the same order.',
    'What a reply is worth is for the server to say. As Redis comes from the package it answers first and writes to disk ' +
      'later, so Sluice says `accepted`: with `appendfsync everysec` a crash loses a second, without an append-only file all ' +
      'since the last snapshot. With `fsync: true` Sluice says `durable`, and asks the server by CONFIG GET whenever it ' +
      'connects: `appendonly yes` and `appendfsync always`, or the sink is not used. A server that does not allow CONFIG GET ' +
      'cannot be used with it. Durable means the disk of that server; a failover to a replica may still lose what had not ' +
      'reached it.',
    'When a connection is lost before its replies, nobody knows whether the transaction was done. It is written again, so ' +
      'up to `maxBatch` × `maxInFlight` messages may be there twice: whole transactions, never a part of one. Redis does ' +
      'not recognise repeated messages; who reads them can, by a field such as `key: key`.',
    'A published message reaches who has subscribed; that nobody has is no error.',
    'Sluice speaks to one server, not to the slots of a cluster. A lost connection is made again for the next write, by ' +
      'Sluice and not by the client library, which would send again by itself. Sinks with equal connection options share ' +
      'one connection.',
  ].join('\n\n'),
  options,
  examples: [
    { title: 'Entries of a stream', config: { redis: { stream: 'readings', maxLength: 1_000_000 } } },
    {
      title: 'A stream for each device, safe from a power cut',
      config: {
        redis: {
          stream: 'readings:${msg.device}',
          fields: { temp: 'msg.temp', at: 'received', key: 'key' },
          host: 'redis',
          password: 'secret',
          fsync: true,
        },
      },
    },
    { title: 'A list that workers take from', config: { redis: { list: 'jobs', format: 'json' } } },
    { title: 'A channel', config: { redis: { publish: 'live:${client.id}', payload: '${msg.temp}' } } },
  ],
  confirms: ({ fsync }) => (fsync ? 'durable' : 'accepted'),
  finished: 'Redis has replied to it',
  batching: { maxBatch: 500 },
  check: ({ tls }, context) => checkTls(tls, context),
  async create(given, context) {
    const library = (await context.importPackage('redis')) as RedisPackage
    const { fsync, timeout } = given
    const target = { ...readRedisTarget(given, context), fsync }
    const dial = () => connectRedis(library, target, context.signal)
    const shared = await shareBroker('redis', target, context, dial, () => {})
    return new BrokerSink(shared, createCommand(given, context), timeout)
  },
})

type Options = z.output<typeof options>

/** Gives the command for a message, or throws. */
function createCommand(given: Options, context: PartContext): (message: Message) => Command {
  const { stream, list, publish, maxLength, side } = given
  const payloadOf = createPayload(given, context)
  if (publish !== undefined) return (message) => ['PUBLISH', keyOf(message, publish), payloadOf(message)]
  if (list !== undefined) {
    const push = side === 'left' ? 'LPUSH' : 'RPUSH'
    return (message) => [push, keyOf(message, list), payloadOf(message)]
  }
  const trim = maxLength === undefined ? [] : ['MAXLEN', '~', String(maxLength)]
  const columns = given.fields && Object.entries(given.fields)
  const fieldsOf = (message: Message): (string | Buffer)[] =>
    columns?.flatMap(([name, value]) => [name, contentText(value(message))]) ?? ['value', payloadOf(message)]
  return (message) => ['XADD', keyOf(message, stream!), ...trim, '*', ...fieldsOf(message)]
}

function keyOf(message: Message, key: Template): string | Buffer {
  const content = contentText(key(message))
  if (content.length === 0) throw new SluiceError('sink_failed', 'the key is empty for this message')
  return content
}

/** Reports options that contradict each other. */
function requireOneTarget(given: Partial<Record<string, unknown>>, context: z.core.$RefinementCtx): void {
  const report = (message: string, ...path: string[]) => context.addIssue({ code: 'custom', message, path })
  const { stream, list, publish, fields, payload, format, maxLength, side, fsync } = given
  const targets = [stream, list, publish].filter((target) => target !== undefined)
  if (targets.length !== 1) report('give one of stream, list and publish')
  if (fields !== undefined && stream === undefined) report('fields are those of a stream', 'fields')
  if (maxLength !== undefined && stream === undefined) report('maxLength is that of a stream', 'maxLength')
  if (side !== undefined && list === undefined) report('side is that of a list', 'side')
  if (fields !== undefined && payload !== undefined) report('give fields or payload, and not both', 'payload')
  if (fields !== undefined && format !== undefined) report('fields are written without a format', 'format')
  if (fsync === true && publish !== undefined) report('what is published is not kept: remove fsync', 'fsync')
  requirePassword(given, context)
}
