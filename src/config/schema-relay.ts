import { dataflow, duration, expr, z } from '../contracts/schema.ts'
import { RELATIVE } from './schema-options.ts'
import { connectTlsSchema } from './schema-tls.ts'

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
  tls: connectTlsSchema
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

/** `relay:` of an entry of `listen:`. */
export const relaySchema = z.strictObject({
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
  tls: connectTlsSchema
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
