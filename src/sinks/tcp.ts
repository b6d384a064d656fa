import { defineSink } from '../contracts/define.ts'
import { duration, z } from '../contracts/schema.ts'
import { ByteSink, byteOptions } from './byte-sink.ts'
import { Outlet } from './outlet.ts'

/** Sends messages over a connection of its own. */
export const tcp = defineSink({
  name: 'tcp',
  summary: 'Sends each message over a TCP connection.',
  details: [
    'The connection is made for the first message, and made again for the next message when it was lost. What the other ' +
      'side sends is read and dropped; for a dialogue use an entry under `connect:`.',
    'Finished means that the socket took the bytes, not that the other side has them: what is under way when a ' +
      'connection breaks is lost. While the other side does not read, the sink waits, and so do the senders.',
    'Sinks to the same address share one connection, except those that name a framing of their own.',
  ].join('\n\n'),
  options: z
    .strictObject({
      host: z.string().min(1).optional().describe('Name or address of the other side.'),
      port: z.int().min(1).max(65_535).optional().describe('Port of the other side.'),
      socket: z
        .string()
        .min(1)
        .optional()
        .describe(
          "Path of a Unix socket, instead of host and port. A relative path starts at the configuration's folder.",
        ),
      ...byteOptions,
      timeout: duration().prefault('10s').describe('How long an attempt to connect may take. Default: 10s.'),
    })
    .superRefine(requireOneTarget),
  examples: [
    { title: 'Lines to another server', config: { tcp: { host: '10.0.0.7', port: 9100 } } },
    {
      title: 'JSON with a length before it, to a program on this machine',
      config: { tcp: { socket: '/run/collector.sock', format: 'json', framing: { 'length-prefix': { bytes: 4 } } } },
    },
  ],
  confirms: () => 'os',
  finished: 'the socket took the bytes',
  create(options, context) {
    const { host, port, socket, timeout, framing } = options
    const address = socket === undefined ? { host: host!, port: port! } : { path: context.resolvePath(socket) }
    // Two framings on one connection could not be told apart at the other end, and built framings cannot be compared.
    const key = `tcp ${JSON.stringify(address)} ${timeout} ${framing === undefined ? '' : context.id}`
    const shared = context.share(key, () => new Outlet(context.tcp, { ...address, timeout, signal: context.signal }))
    return new ByteSink(options, context, {
      take: (out) => shared.value.send(out.take()),
      release: () => shared.release(),
    })
  },
})

/** Reports what is missing or too much of host and port, or socket. */
function requireOneTarget({ host, port, socket }: Target, context: z.core.$RefinementCtx): void {
  if (socket !== undefined) {
    if (host === undefined && port === undefined) return
    context.addIssue({ code: 'custom', message: 'give host and port, or socket, and not both' })
  } else if (host === undefined && port === undefined) {
    context.addIssue({ code: 'custom', message: 'host and port are missing, or socket' })
  } else {
    const missing = host === undefined ? 'host' : port === undefined ? 'port' : undefined
    if (missing !== undefined) context.addIssue({ code: 'custom', message: `${missing} is missing`, path: [missing] })
  }
}

interface Target {
  readonly host?: unknown
  readonly port?: unknown
  readonly socket?: unknown
}
