import { checkTls } from '../brokers/client-tls.ts'
import { Reconnecting } from '../brokers/reconnecting.ts'
import { connectRedis, type RedisPackage } from '../brokers/redis-link.ts'
import { readRedisTarget, redisConnection, requirePassword } from '../brokers/redis-options.ts'
import { defineSubscription } from '../contracts/define.ts'
import { z } from '../contracts/schema.ts'
import { listenToChannel } from './redis-channel.ts'
import { readGroup } from './redis-group.ts'

const options = z
  .strictObject({
    stream: z.string().min(1).optional().describe('Key of a stream; it is read as a consumer of `group`.'),
    group: z
      .string()
      .min(1)
      .optional()
      .describe('Of a stream: the group, which knows what was acknowledged. It is made where there is none.'),
    consumer: z
      .string()
      .min(1)
      .optional()
      .describe(
        'Of a stream: our name in the group; each server needs one of its own. It must be the same after a restart. ' +
          'Default: sluice.',
      ),
    field: z
      .string()
      .min(1)
      .optional()
      .describe(
        'Of a stream: the field of an entry that is the payload. Default: `value` where it is the only one, else all ' +
          'fields as JSON.',
      ),
    startAt: z
      .enum(['new', 'first'])
      .optional()
      .describe(
        'Of a stream: where a group begins that was not there before: with what is added from now on, or with the first ' +
          'entry. Default: new.',
      ),
    maxInFlight: z
      .int()
      .min(1)
      .max(65_535)
      .default(500)
      .describe('Of a stream: most entries that are read and not yet acknowledged. Default: 500.'),
    channel: z
      .string()
      .min(1)
      .optional()
      .describe('Channel to subscribe to, instead of a stream; one with `*`, `?` or `[` in it is a pattern.'),
    ...redisConnection,
  })
  .superRefine(requireOneSource)

/** Subscribes to a stream or a channel of Redis. */
export const redis = defineSubscription({
  name: 'redis',
  summary: 'Takes the entries of a stream of Redis, or what is published to a channel.',
  details: [
    'Needs the package `redis`: `npm install redis`. Exactly one of `stream` and `channel` is given.',
    'A stream is read as a consumer of a group. Entries are acknowledged (XACK) when they have gone through the dataflow: ' +
      'delivered, handled by an `onError`, dropped by a step or kept as a dead letter. What was not acknowledged is read ' +
      'again when the connection has been lost or Sluice was restarted, before anything new; its key stays the same, ' +
      'STREAM:ID, so a `dedupe` step recognises it. Entries stay in the stream, for other groups: XTRIM or the `maxLength` ' +
      'of who writes takes them away.',
    'Each server needs a `consumer` of its own in a group; the servers then share the entries. What a consumer that never ' +
      'comes back was given stays with it: XAUTOCLAIM gives it to another. Sluice does not do that by itself.',
    'A channel gives a message to those who are subscribed at that moment. What Sluice cannot take in time ' +
      '(`limits.maxQueued`) is lost and counted.',
    'Sluice speaks to one server, not to the slots of a cluster.',
  ].join('\n\n'),
  options,
  examples: [
    {
      title: 'Entries of a stream',
      config: {
        redis: { stream: 'commands', group: 'sluice', host: 'redis' },
        format: 'json',
        dataflow: [{ send: { to: { tag: 'device', value: 'msg.device' }, text: '${msg.command}' } }],
      },
    },
    {
      title: 'Channels that fit a pattern, for everybody who is connected',
      config: { redis: { channel: 'news.*' }, dataflow: [{ send: { to: 'all', text: '${topic}: ${msg}' } }] },
    },
  ],
  guarantees: ({ stream }) => (stream === undefined ? 'at most once' : 'at least once'),
  inWords: ({ stream, channel, group, host, port, socket }) => {
    const where = `Redis at ${socket ?? `${host}:${port}`}`
    return stream === undefined
      ? `the channel ${channel} of ${where}`
      : `the stream ${stream} of ${where}, group ${group}`
  },
  acknowledges: ({ stream }) =>
    stream === undefined
      ? 'nothing is acknowledged'
      : 'it is acknowledged (XACK) behind the last step, whatever became of it, and before that given again',
  unanswerable: () => ({
    message: 'Redis has no way to answer a message',
    hint: 'take it away; or publish the answer with the sink redis',
  }),
  identifies: ({ stream }) => stream !== undefined,
  check: ({ tls }, context) => checkTls(tls, context),
  async create(given, context) {
    const library = (await context.importPackage('redis')) as RedisPackage
    const target = { ...readRedisTarget(given, context), fsync: false }
    const { stream, channel, group = '', field, maxInFlight, timeout } = given
    const { consumer = 'sluice', startAt = 'new' } = given
    const address =
      target.socket === undefined ? { ip: target.host, port: target.port } : { ip: target.socket, port: 0 }
    return new Reconnecting(async (take) => {
      const link = await connectRedis(library, target, context.signal)
      try {
        if (stream === undefined) return await listenToChannel(link, channel!, address, timeout, take)
        const options = { stream, group, consumer, field, startAt, maxInFlight, address, timeout }
        return await readGroup(link, options, take)
      } catch (thrown) {
        await link.end()
        throw thrown
      }
    }, context.signal)
  },
})

/** Reports options that contradict each other. */
function requireOneSource(given: Partial<Record<string, unknown>>, context: z.core.$RefinementCtx): void {
  const report = (message: string, ...path: string[]) => context.addIssue({ code: 'custom', message, path })
  const { stream, channel, group } = given
  if ((stream === undefined) === (channel === undefined)) report('give one of stream and channel')
  if (stream !== undefined && group === undefined) {
    const params = { hint: 'write group: sluice, or the name that others of yours have' }
    context.addIssue({ code: 'custom', message: 'a stream is read by a group', path: ['group'], params })
  }
  for (const option of ['group', 'consumer', 'field', 'startAt'] as const) {
    if (stream === undefined && given[option] !== undefined) report(`${option} is that of a stream`, option)
  }
  requirePassword(given, context)
}
