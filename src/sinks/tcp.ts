import { checkTcpAddress, requireOneAddress, targetOf, tcpAddress } from '../brokers/tcp-address.ts'
import { defineSink } from '../contracts/define.ts'
import { duration, z } from '../contracts/schema.ts'
import { ByteSink, byteOptions, codecOf } from './byte-sink.ts'
import { ClientOutlets } from './client-outlets.ts'
import { Outlet } from './outlet.ts'
import { RoutedSink } from './routed-sink.ts'
import { SingleShotSink } from './single-shot-sink.ts'
import { SingleShots } from './single-shots.ts'

/** Sends messages over connections of its own. */
export const tcp = defineSink({
  name: 'tcp',
  summary: 'Sends each message over a TCP connection.',
  details: [
    'The connection is made for the first message, and made again for the next message when it was lost. What the other ' +
      'side sends is read and dropped; for a dialogue use `request`, or an entry under `connect:`.',
    '`connection: perMessage` is for devices that take a job for each connection, such as label printers on port 9100. ' +
      'Each message is sent like this: connect, write, end, wait until the other side has ended too, at most `timeout`. ' +
      'There is one connection at a time (with several `workers`, one of each), and messages keep their order. `connection: perClient` gives each of our clients ' +
      'a connection of its own, which is closed within a second or so after the client has gone.',
    'Finished means that the socket took the bytes, not that the other side has them: what is under way when a ' +
      'connection breaks is lost. With `perMessage` the sink waits for the end of the connection, so one that breaks is ' +
      'noticed: the message is sent again then, and the device may get it twice. While the other side does not read, the ' +
      'sink waits, and so do the senders.',
    'Sinks to the same address share their connections, except those that name a framing of their own.',
  ].join('\n\n'),
  options: z
    .strictObject({
      ...tcpAddress,
      ...byteOptions,
      connection: z
        .enum(['shared', 'perClient', 'perMessage'])
        .default('shared')
        .describe(
          'What has a connection of its own: `shared`, all messages have one; `perClient`, each of our clients has one; ' +
            '`perMessage`, each message has one. Default: shared.',
        ),
      timeout: duration()
        .prefault('10s')
        .describe(
          'How long an attempt to connect may take; with `connection: perMessage` also how long the other side may take ' +
            'to read and to close. Default: 10s.',
        ),
    })
    .superRefine(requireOneAddress),
  examples: [
    { title: 'Lines to another server', config: { tcp: { host: '10.0.0.7', port: 9100 } } },
    {
      title: 'JSON with a length before it, to a program on this machine',
      config: { tcp: { socket: '/run/collector.sock', format: 'json', framing: { 'length-prefix': { bytes: 4 } } } },
    },
    {
      title: 'A job for a label printer, which prints what it gets when the connection ends',
      config: { tcp: { host: '10.0.0.31', port: 9100, connection: 'perMessage', framing: 'raw' } },
    },
  ],
  check: checkTcpAddress,
  confirms: () => 'os',
  finished: 'the socket took the bytes',
  create(options, context) {
    const { timeout, framing, connection } = options
    const { dial, tls } = targetOf(options, context)
    const target = { ...dial, tls, timeout, signal: context.signal }
    // Two framings on one connection could not be told apart at the other end, and built framings cannot be compared.
    const apart = framing === undefined || connection === 'perMessage' ? '' : context.id
    const key = `tcp ${connection} ${JSON.stringify([dial, options.tls])} ${timeout} ${apart}`
    const codec = codecOf(options, context)
    if (connection === 'perMessage') {
      return new SingleShotSink(
        codec,
        context.share(key, () => new SingleShots(context.tcp, target)),
      )
    }
    const open = () => new Outlet(context.tcp, target)
    if (connection === 'perClient') {
      const clients = context.share(key, () => new ClientOutlets(open))
      return new RoutedSink(codec, {
        keyOf: ({ client }) => client,
        keyOfAll: ({ source }) => source?.client,
        take: (client, out) => clients.value.send(client, out.take()),
        release: () => clients.release(),
      })
    }
    const shared = context.share(key, open)
    return new ByteSink(options, context, {
      take: (out) => shared.value.send(out.take()),
      release: () => shared.release(),
    })
  },
})
