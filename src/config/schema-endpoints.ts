import {
  bytes,
  dataflow,
  duration,
  expr,
  formatOption,
  framingOption,
  host,
  requireHost,
  size,
  withoutProto,
  z,
} from '../contracts/schema.ts'
import { directions, messageDataflow, messageOnError, port, RELATIVE } from './schema-options.ts'
import { proxyProtocolSchema } from './schema-proxy.ts'
import { relaySchema } from './schema-relay.ts'
import { connectTlsSchema, listenTlsSchema } from './schema-tls.ts'

/** Bounds of every endpoint with connections. */
const limits = {
  maxFrameLength: size().prefault('1MiB').describe('Longest frame that is accepted.'),
  maxQueued: size()
    .prefault('256KiB')
    .describe('Most bytes that may wait for the dataflow, or wait to be sent, for one connection.'),
  frameTimeout: duration({ off: true }).prefault('30s').describe('Time in which a frame must end once it has begun.'),
  writeTimeout: duration({ off: true })
    .prefault('10s')
    .describe('Time in which the other side must take what is sent to it.'),
  idleTimeout: duration({ off: true })
    .prefault('off')
    .describe('Time without bytes after which a connection is closed. A quiet device is normal: off.'),
  firstFrameTimeout: duration({ off: true })
    .prefault('off')
    .describe('Time in which the first frame of a connection must be complete.'),
}

/** What entries of `listen:` and `connect:` have in common. */
const endpoint = {
  socket: z.string().min(1).optional().describe(`Path of a Unix socket, instead of a port. ${RELATIVE}`),
  framing: directions(framingOption, 'Framing')
    .prefault('line')
    .describe('How bytes become frames: a framing, or { in, out }.'),
  format: directions(formatOption, 'Format')
    .prefault('text')
    .describe('How a frame becomes a value: a format, or { in, out }.'),
  key: expr()
    .optional()
    .describe(
      'What a message is known by when it is sent again, such as msg.id: an expression, evaluated once for each message ' +
        'before the first step. Without it, or where it gives nothing, a message that is sent again is a new one.',
    ),
  dataflow: messageDataflow(),
  runOnConnect: z
    .boolean()
    .prefault(false)
    .describe('Run the dataflow once when a connection opens, with event == "connect" and msg == null.'),
  onConnect: dataflow()
    .optional()
    .describe('Steps that run before the first message. If one fails, the connection is closed.'),
  onDisconnect: dataflow().optional().describe('Steps that run after the last message, with event == "disconnect".'),
  onError: messageOnError(),
  keepAlive: duration({ off: true })
    .prefault('60s')
    .describe('Silence after which TCP keepalive looks whether the other side is still there.'),
  noDelay: z.boolean().prefault(true).describe('Send small writes at once.'),
}

/** An entry of `listen:`. */
export const listenSchema = z.strictObject({
  port: port().optional().describe('TCP port; 0 for any that is free.'),
  host: z
    .union([z.string().min(1), z.array(host()).min(1)])
    // Of a union the branch that a text belongs to would say only that it does not fit.
    .superRefine((given, context) => {
      if (typeof given === 'string') requireHost(given, context)
    })
    .optional()
    .describe('Address to listen on, or a list of them. Default: all, IPv4 and IPv6.'),
  ...endpoint,
  limits: z
    .strictObject({
      maxConnections: z
        .int()
        .min(1)
        .prefault(10_000)
        .describe('Most connections at a time. As many again may have closed and have work left.'),
      ...limits,
    })
    .prefault({})
    .describe('Bounds of the endpoint.'),
  proxyProtocol: proxyProtocolSchema
    .optional()
    .describe(
      'Connections come from a load balancer that begins each with a header of the PROXY protocol, version 1 or 2, before ' +
        'TLS. client.ip and client.port are then those of the client that it names. Without such a header a connection is ' +
        'refused (proxy_failed). Default: no header.',
    ),
  tls: listenTlsSchema.optional().describe('Encrypt connections.'),
  relay: relaySchema
    .optional()
    .describe('Instead of a dataflow: connect each client to a server, and pass the bytes of both on as they are.'),
  backlog: z.int().min(1).max(65_535).prefault(1024).describe('Most connections that wait to be accepted.'),
  ipv6Only: z.boolean().prefault(false).describe('Take no IPv4 on an IPv6 address.'),
})

/** An entry of `connect:`. */
export const connectSchema = z.strictObject({
  host: host().optional().describe('Name or address to connect to.'),
  port: port().min(1).optional().describe('TCP port. Beside hosts: for devices that say none of their own.'),
  hosts: z
    .union([
      z.string().min(1),
      withoutProto(
        z.record(
          z.string(),
          z.union([z.string(), z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]))]),
        ),
      ),
    ])
    .optional()
    .describe(
      'Many devices, instead of host: a CSV file whose first line names its columns (id,host,port and others), or a ' +
        `mapping of id: host:port. A device's id is its client.id, its other columns are client.tags. ${RELATIVE}`,
    ),
  ...endpoint,
  limits: z.strictObject(limits).prefault({}).describe('Bounds of the endpoint.'),
  tls: connectTlsSchema
    .optional()
    .describe('Encrypt the connection; { } is enough for a certificate of a usual authority.'),
  timeout: duration().prefault('10s').describe('Time in which the other side must take the connection.'),
  reconnect: z
    .strictObject({
      first: duration()
        .prefault('1s')
        .describe(
          'Longest wait before the first attempt to connect again; it doubles each time. The wait itself is drawn at random below it.',
        ),
      max: duration().prefault('30s').describe('Longest wait between attempts.'),
    })
    .prefault({})
    .describe('When to connect again.'),
  poll: z
    .strictObject({
      every: duration().describe('Time from one poll to the next.'),
      send: bytes().describe('What to send; it is framed.'),
      timeout: duration()
        .prefault('5s')
        .describe('Time after which a poll without an answer no longer holds back the next.'),
    })
    .optional()
    .describe('Ask the device for its data at intervals.'),
})

export type ListenOutput = z.output<typeof listenSchema>
export type ConnectOutput = z.output<typeof connectSchema>
