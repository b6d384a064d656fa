import {
  bytes,
  condition,
  dataflow,
  duration,
  expr,
  formatOption,
  framingOption,
  secret,
  size,
  withoutProto,
  z,
} from '../contracts/schema.ts'
import { parseIpRange } from '../transports/ip-range.ts'
import { isTimeZone } from '../util/daily.ts'

/**
 * The top level of a configuration, described once. Validation, the JSON Schema for editors and the reference page are
 * made from it. What stands inside a step or a sink is described by the part itself.
 */

/** Said of every path. */
const RELATIVE = "A relative path starts at the configuration's folder."

const NAME = /^[A-Za-z][\w-]*$/

const endpointName = z
  .string()
  .regex(NAME, 'expected a name of letters, digits, - and _ that begins with a letter')
  .describe('Name of the endpoint, as logs, metrics and client.endpoint show it.')
  .meta({ entry: 'endpoint' })

const port = () => z.int().min(0).max(65_535)

const directions = <Schema extends z.ZodType>(option: () => Schema, what: string) =>
  z.union([
    z.strictObject({
      in: option().describe(`${what} of what arrives.`),
      out: option().describe(`${what} of what is sent.`),
    }),
    option(),
  ])

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
  dataflow: dataflow()
    .optional()
    .describe('Steps that each message goes through, or the name of an entry of dataflows.'),
  runOnConnect: z
    .boolean()
    .prefault(false)
    .describe('Run the dataflow once when a connection opens, with event == "connect" and msg == null.'),
  onConnect: dataflow()
    .optional()
    .describe('Steps that run before the first message. If one fails, the connection is closed.'),
  onDisconnect: dataflow().optional().describe('Steps that run after the last message, with event == "disconnect".'),
  onError: dataflow()
    .optional()
    .describe('Steps for a message that failed, with error in scope. The message ends there.'),
  keepAlive: duration({ off: true })
    .prefault('60s')
    .describe('Silence after which TCP keepalive looks whether the other side is still there.'),
  noDelay: z.boolean().prefault(true).describe('Send small writes at once.'),
}

const tlsCommon = {
  minVersion: z.enum(['TLSv1.2', 'TLSv1.3']).prefault('TLSv1.2').describe('Oldest version of TLS that is spoken.'),
  handshakeTimeout: duration().prefault('5s').describe('Time in which the handshake must end.'),
}

const listenTls = z.strictObject({
  cert: z.string().min(1).describe(`File with the certificate chain, PEM. ${RELATIVE}`),
  key: z.string().min(1).describe(`File with the private key, PEM. ${RELATIVE}`),
  passphrase: secret().optional().describe('Passphrase of the private key.'),
  ca: z
    .string()
    .min(1)
    .optional()
    .describe(`File with the authorities that must have signed the certificate of a client, PEM. ${RELATIVE}`),
  ...tlsCommon,
})

const connectTls = z.strictObject({
  ca: z
    .string()
    .min(1)
    .optional()
    .describe(`File with the authorities that are trusted instead of the usual ones, PEM. ${RELATIVE}`),
  cert: z.string().min(1).optional().describe(`File with our own certificate chain, PEM. ${RELATIVE}`),
  key: z.string().min(1).optional().describe(`File with our own private key, PEM. ${RELATIVE}`),
  passphrase: secret().optional().describe('Passphrase of the private key.'),
  servername: z.string().min(1).optional().describe('Name that the certificate must have. Default: host.'),
  insecure: z.boolean().prefault(false).describe('Accept any certificate. For tests only.'),
  ...tlsCommon,
})

const trusted = z
  .string()
  .refine(
    (text) => parseIpRange(text) !== undefined,
    'expected an IP address such as 10.0.0.5, or a range such as 10.0.0.0/24',
  )

const proxyProtocol = z.strictObject({
  trust: z
    .union([trusted, z.array(trusted)])
    .optional()
    .describe(
      'Where load balancers connect from: an address such as 10.0.0.5, a range such as 10.0.0.0/24, or a list of them. Only ' +
        'their headers are believed, because anyone who can connect could claim any address; who comes from elsewhere is ' +
        'refused (proxy_failed), and without trust that is everybody. A Unix socket has no such addresses: there the ' +
        'permissions of its file say who can connect.',
    ),
  timeout: duration().prefault('5s').describe('Time in which the header must be there; the balancer sends it at once.'),
})

const upstream = z
  .string()
  .regex(
    /^(?:(?:\[[^\]\s]+\]|[^\s:/[\]]+):\d{1,5}|\.{0,2}\/.+)$/,
    'expected host:port, or the path of a Unix socket such as ./app.sock',
  )

const mirror = z.strictObject({
  to: upstream.describe(
    `A second server that gets what clients send, as the first one does; no client gets its answers. host:port, or the path of a Unix socket. ${RELATIVE}`,
  ),
  tls: connectTls
    .optional()
    .describe('Encrypt the connections to it; { } is enough for a certificate of a usual authority.'),
  compare: dataflow()
    .optional()
    .describe(
      'Steps for each two answers that belong together: msg.server, msg.mirror, msg.equal, and msg.request, what the client had sent last. ' +
        'framing and format of the endpoint (out) say what an answer is.',
    ),
  key: expr()
    .optional()
    .describe(
      'Says which answers belong together, such as msg.id: an expression, evaluated for each answer. An answer of which it gives nothing is unmatched. Without it their order says that.',
    ),
  timeout: duration()
    .optional()
    .describe('How long an answer waits for the other one; then it is given with null in its place. Default 10s.'),
})

const relay = z.strictObject({
  to: z
    .union([upstream, z.array(upstream).min(1)])
    .describe(
      `The server that clients are connected to, host:port, or a list of them. A path with a / is a Unix socket. ${RELATIVE}`,
    ),
  balance: z
    .enum(['roundRobin', 'leastConnections'])
    .prefault('roundRobin')
    .describe('Which of several servers gets a client: each in turn, or the one with the fewest of this relay.'),
  connectTimeout: duration()
    .prefault('5s')
    .describe('Time in which a server must take the connection; then the next one is tried.'),
  health: z
    .strictObject({
      first: duration()
        .prefault('1s')
        .describe(
          'Longest time for which a server is left out after it could not be reached; it doubles each time. The time itself is drawn at random below it.',
        ),
      max: duration().prefault('30s').describe('Longest time for which a server is left out.'),
      check: z
        .enum(['off', 'connect'])
        .prefault('off')
        .describe(
          'connect: see at intervals whether each server takes a connection, so that one that is down is left out before a client meets it, and until it is back.',
        ),
      every: duration().optional().describe('Time from one look to the next, with check: connect. Default 5s.'),
    })
    .prefault({})
    .describe('When a server gets no clients while another can be reached.'),
  tls: connectTls
    .optional()
    .describe('Encrypt the connections to the servers; { } is enough for certificates of a usual authority.'),
  sendProxy: z
    .enum(['v1', 'v2'])
    .optional()
    .describe(
      'Tell servers the address of each client with a header of the PROXY protocol, version 1 (text) or 2 (binary). They must expect it. Default: no header.',
    ),
  inspect: z
    .enum(['off', 'copy', 'inline'])
    .prefault('off')
    .describe(
      'Whether the bytes also go through dataflows: copy passes them on untouched and takes a copy, inline passes on only what ' +
        'the dataflows let through. framing and format of the endpoint say what a message is.',
    ),
  toServer: dataflow()
    .optional()
    .describe('Steps for each message from a client to its server, where inspect is not off.'),
  toClient: dataflow()
    .optional()
    .describe('Steps for each message from a server to its client, where inspect is not off.'),
  mirror: mirror.optional().describe('Send what clients send to a second server too, and compare the answers of both.'),
})

/** An entry of `listen:`. */
export const listenSchema = z.strictObject({
  port: port().optional().describe('TCP port; 0 for any that is free.'),
  host: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
    .optional()
    .describe('Address to listen on, or a list of them. Default: all, IPv4 and IPv6.'),
  ...endpoint,
  limits: z
    .strictObject({
      maxConnections: z.int().min(1).prefault(10_000).describe('Most connections at a time.'),
      ...limits,
    })
    .prefault({})
    .describe('Bounds of the endpoint.'),
  proxyProtocol: proxyProtocol
    .optional()
    .describe(
      'Connections come from a load balancer that begins each with a header of the PROXY protocol, version 1 or 2, before ' +
        'TLS. client.ip and client.port are then those of the client that it names. Without such a header a connection is ' +
        'refused (proxy_failed). Default: no header.',
    ),
  tls: listenTls.optional().describe('Encrypt connections.'),
  relay: relay
    .optional()
    .describe('Instead of a dataflow: connect each client to a server, and pass the bytes of both on as they are.'),
  backlog: z.int().min(1).max(65_535).prefault(1024).describe('Most connections that wait to be accepted.'),
  ipv6Only: z.boolean().prefault(false).describe('Take no IPv4 on an IPv6 address.'),
})

/** An entry of `connect:`. */
export const connectSchema = z.strictObject({
  host: z.string().min(1).optional().describe('Name or address to connect to.'),
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
  tls: connectTls.optional().describe('Encrypt the connection; { } is enough for a certificate of a usual authority.'),
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

/** What may stand beside the key that names a subscription; `subscribeKeys` of the registry lists the same keys. */
export const subscribeSchema = z.strictObject({
  format: directions(formatOption, 'Format')
    .prefault('text')
    .describe('How a payload becomes a value, and an answer a payload: a format, or { in, out }.'),
  key: expr()
    .optional()
    .describe(
      'What a message is known by when it is sent again: an expression. Default: what the broker itself knows it by, where ' +
        'it has such a name.',
    ),
  dataflow: dataflow()
    .optional()
    .describe('Steps that each message goes through, or the name of an entry of dataflows.'),
  onError: dataflow()
    .optional()
    .describe('Steps for a message that failed, with error in scope. The message ends there.'),
  limits: z
    .strictObject({
      maxQueued: size()
        .prefault('16MiB')
        .describe('Most bytes that may wait for the dataflow where the broker keeps nothing; what comes then is lost.'),
    })
    .prefault({})
    .describe('Bounds of the subscription.'),
})

const timeOfDay = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$/, 'expected a time of day in quotes, such as "02:30"')
  .transform((text) => Date.parse(`1970-01-01T${text}Z`))

/** An entry of `schedule:`. */
export const scheduleSchema = z.strictObject({
  every: duration().optional().describe('Time from one run to the next. The first is when it has passed once.'),
  at: z
    .union([timeOfDay.transform((time) => [time]), z.array(timeOfDay).min(1)])
    .optional()
    .describe('Instead of every: a time of day, such as "02:30", or a list of them.'),
  timezone: z
    .string()
    .refine(isTimeZone, 'expected a time zone, such as Europe/Berlin')
    .optional()
    .describe('Time zone of at. Default UTC.'),
  runAtStart: z.boolean().prefault(false).describe('Run also when the server starts, or a reload brings the entry.'),
  format: directions(formatOption, 'Format')
    .prefault('text')
    .describe('What sinks that write bytes write with: a format.'),
  dataflow: dataflow()
    .optional()
    .describe('Steps that run, with event == "timer" and msg == null, or the name of an entry of dataflows.'),
  onError: dataflow().optional().describe('Steps for a run that failed, with error in scope. It ends there.'),
})

const dataflows = z.record(
  z.string().regex(NAME, 'expected a name of letters, digits, - and _ that begins with a letter'),
  z.array(z.unknown()).meta({ marker: 'steps' }),
)

/** A whole configuration. */
export const configSchema = z.strictObject({
  version: z.literal(1).optional().describe('Version of this shape: 1.'),
  listen: withoutProto(z.record(endpointName, listenSchema)).optional().describe('Endpoints that accept connections.'),
  connect: withoutProto(z.record(endpointName, connectSchema))
    .optional()
    .describe('Endpoints that connect to a device and stay connected.'),
  subscribe: withoutProto(
    z.record(
      endpointName,
      z.record(z.string(), z.unknown(), 'expected a mapping, such as { nats: { … }, dataflow: [ … ] }').meta({
        marker: 'subscription',
      }),
    ),
  )
    .optional()
    .describe('Endpoints whose messages a broker gives.'),
  schedule: withoutProto(z.record(endpointName, scheduleSchema))
    .optional()
    .describe('Dataflows that run by the clock.'),
  defaults: z
    .strictObject({
      listen: z.record(z.string(), z.unknown()).optional().describe('Options of each entry of listen.'),
      connect: z.record(z.string(), z.unknown()).optional().describe('Options of each entry of connect.'),
    })
    .optional()
    .describe('What entries have that do not say otherwise: mappings are joined, everything else is replaced.'),
  include: z
    .union([z.string().min(1), z.array(z.string().min(1))])
    .optional()
    .describe(
      'Other files of this configuration: names or patterns such as conf.d/*.yaml. Their paths begin here too.',
    ),
  dataflows: withoutProto(dataflows).optional().describe('Dataflows that several endpoints use by name.'),
  data: z
    .strictObject({
      dir: z.string().min(1).prefault('./sluice-data').describe(`Folder for what must outlive a restart. ${RELATIVE}`),
      deadLetters: z
        .strictObject({
          maxSize: size()
            .prefault('1GiB')
            .describe('Most bytes of dead letters. Above that what fails waits, and with it its sender.'),
          maxAge: duration({ off: true, age: true }).prefault('30d').describe('Age at which a dead letter is removed.'),
        })
        .prefault({})
        .describe('Bounds of the dead letters.'),
    })
    .prefault({})
    .describe('What is kept on disk.'),
  admin: z
    .union([
      port(),
      z.strictObject({
        host: z.string().min(1).prefault('127.0.0.1').describe('Address to listen on.'),
        port: port().describe('TCP port.'),
      }),
    ])
    .optional()
    .describe(
      'Health and metrics over HTTP: a port, or { host, port }. There are /metrics, /health/live and /health/ready.',
    ),
  log: z
    .strictObject({
      level: z
        .enum(['debug', 'info', 'warn', 'error'])
        .prefault('info')
        .describe('Least important lines that are written.'),
      format: z.enum(['text', 'json']).optional().describe('Default: text on a terminal, else json.'),
    })
    .prefault({})
    .describe('What is logged.'),
  workers: z
    .int()
    .min(1)
    .max(64)
    .prefault(1)
    .describe('Processes that share the connections: as many as there are cores to spare for them. Default: 1.'),
  balance: z
    .enum(['fewest', 'reusePort'])
    .prefault('fewest')
    .describe(
      'Which of several workers gets a connection: the one with the fewest of its endpoint, or with reusePort the one ' +
        'that the kernel chooses; connections that it has not accepted are then lost when it dies.',
    ),
})

/** What may stand beside the key that names a step; `siblingKeys` of the registry lists the same keys. */
export const siblingsSchema = z.strictObject({
  id: z
    .string()
    .regex(/^[A-Za-z][\w.-]*$/, 'expected a name of letters, digits, - _ and . that begins with a letter')
    .optional()
    .describe('Name of the step in logs, metrics and dead letters.'),
  if: condition().optional().describe('Messages for which this is false pass the step by.'),
  else: dataflow().optional().describe('Steps for what the step drops.'),
  timeout: duration().optional().describe('Time in which the step must have finished.'),
  retry: z
    .strictObject({
      for: duration({ off: true })
        .prefault('10s')
        .describe('How long a sink tries again when its destination cannot be reached.'),
      max: z.int().min(1).optional().describe('Most attempts.'),
    })
    .optional()
    .describe('When a sink tries again.'),
  onError: dataflow().optional().describe('Steps for messages that fail in this step. They end there.'),
})

export type ConfigOutput = z.output<typeof configSchema>
export type ListenOutput = z.output<typeof listenSchema>
export type ConnectOutput = z.output<typeof connectSchema>
export type ScheduleOutput = z.output<typeof scheduleSchema>
export type SubscribeOutput = z.output<typeof subscribeSchema>
