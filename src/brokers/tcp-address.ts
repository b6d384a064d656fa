import type { PartContext } from '../contracts/context.ts'
import type { CheckContext, OptionProblem } from '../contracts/define.ts'
import { host, z } from '../contracts/schema.ts'
import type { DialOptions, TlsLayer } from '../contracts/transport.ts'
import { checkTls, readTls, tlsOption } from './client-tls.ts'

/** The options that say where to connect to; see {@link requireOneAddress}. */
export const tcpAddress = {
  host: host().optional().describe('Name or address of the other side.'),
  port: z.int().min(1).max(65_535).optional().describe('Port of the other side.'),
  socket: z
    .string()
    .min(1)
    .optional()
    .describe("Path of a Unix socket, instead of host and port. A relative path starts at the configuration's folder."),
  tls: tlsOption,
}

const schema = z.strictObject(tcpAddress)

/** {@link tcpAddress} as a part receives them. */
export type TcpAddress = z.output<typeof schema>

/** Where to connect to, and how. */
export interface TcpTarget {
  /** As {@link showTcpAddress} says it. */
  readonly where: string
  readonly dial: Pick<DialOptions, 'host' | 'port' | 'path'>
  readonly tls: TlsLayer | undefined
}

/** Reports what is missing or too much of host and port, or socket. For `superRefine`. */
export function requireOneAddress({ host, port, socket }: Partial<TcpAddress>, context: z.core.$RefinementCtx): void {
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

/** Where it leads to, for people: `10.0.0.7:2000`, or the path of a Unix socket. */
export function showTcpAddress({ host, port, socket }: TcpAddress): string {
  return socket ?? (host!.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)
}

/** Reports files of `tls` that cannot be used. */
export function checkTcpAddress({ tls }: TcpAddress, context: CheckContext): OptionProblem[] {
  return checkTls(tls, context)
}

/**
 * Makes what is needed to connect.
 * @param address with a socket, or a host and a port
 * @throws SluiceError `tls_failed` when a certificate or key cannot be used
 */
export function targetOf(address: TcpAddress, { resolvePath, createTls }: PartContext): TcpTarget {
  const { host, port, socket, tls } = address
  const dial = socket === undefined ? { host: host!, port: port! } : { path: resolvePath(socket) }
  const where = showTcpAddress(address)
  const settings = readTls(tls, resolvePath)
  if (settings === undefined) return { where, dial, tls: undefined }
  const { rejectUnauthorized: verify, servername = host, ...files } = settings
  return { where, dial, tls: createTls({ ...files, verify, ...(servername !== undefined && { servername }) }) }
}
