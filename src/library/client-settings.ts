import { formatAddress } from '../contracts/client.ts'
import type { Codec } from '../contracts/codec.ts'
import type { Socket } from '../contracts/transport.ts'
import { createTcp } from '../transports/tcp.ts'
import { createClientTls } from '../transports/tls.ts'
import type { BackoffOptions } from '../util/backoff.ts'
import { whenAborted } from '../util/late.ts'
import { formatDuration } from '../util/units.ts'
import type { CheckedOptions, ClientOptions } from './client-options.ts'
import type { ConnectEntry } from './config.ts'
import { planOf } from './create-server.ts'
import type { Link, RequestId } from './link.ts'

/** What a client works with: options read, checked and built. Times in milliseconds; 0 is off. */
export interface ClientSettings<In, Out> {
  /** Where it connects to, for people. */
  readonly target: string
  readonly incoming: Codec
  readonly outgoing: Codec
  readonly maxFrameLength: number
  readonly timeout: number
  readonly requestTimeout: number
  readonly maxPending: number
  /** Undefined where none was given. */
  readonly attempts: number | undefined
  readonly backoff: BackoffOptions
  readonly idOf: { in(message: In): RequestId | undefined; out(value: Out): RequestId | undefined } | undefined
  readonly whenTimedOut: 'drop' | 'close'
  readonly onConnect: ((link: Link<In, Out>) => Promise<void>) | undefined
  /** Resolves when the parts can be used. @throws ConfigError */
  ready(): Promise<void>
  /** Opens a socket, encrypted where that is wanted. @throws SluiceError; the reason of the signal */
  dial(signal: AbortSignal): Promise<Socket>
}

/**
 * Builds what a client works with.
 * @param options what the user gave
 * @param checked the same, as far as it concerns the client alone
 * @throws ConfigError with every mistake in what a `connect:` entry has too
 */
export function createSettings<In, Out>(
  options: ClientOptions<In, Out>,
  checked: CheckedOptions,
): ClientSettings<In, Out> {
  const { id, onConnect, registry } = options
  const plan = planOf({ connect: { client: entryOf(options, checked) } }, registry === undefined ? {} : { registry })
  const endpoint = plan.endpoints[0]!
  if (endpoint.kind !== 'connect') throw new TypeError('a client makes outgoing connections only')
  const { dial, servername } = endpoint.devices[0]!
  const { tls } = endpoint
  const layer = tls && createClientTls({ ...tls, ...(servername !== undefined && { servername }) })
  return {
    target: dial.path ?? formatAddress({ ip: dial.host ?? '', port: dial.port ?? 0 }),
    incoming: { framing: endpoint.framingIn, format: endpoint.formatIn },
    outgoing: { framing: endpoint.framingOut, format: endpoint.formatOut },
    maxFrameLength: endpoint.limits.maxFrameLength,
    timeout: checked.timeout,
    requestTimeout: checked.requestTimeout,
    maxPending: checked.maxPending,
    attempts: checked.retry.attempts,
    backoff: checked.retry.backoff,
    idOf: typeof id === 'function' ? { in: id, out: id } : id,
    whenTimedOut: checked.whenTimedOut,
    onConnect,
    ready: () => plan.ready(),
    async dial(signal) {
      const raw = await createTcp().dial({ ...dial, signal })
      if (layer === undefined) return raw
      const forget = whenAborted(signal, () => raw.destroy())
      return layer.secure(raw).finally(forget)
    },
  }
}

/** What a client has in common with an entry of `connect:`. */
function entryOf<In, Out>(options: ClientOptions<In, Out>, { timeout, keepAlive }: CheckedOptions): ConnectEntry {
  const { host, port, socket, framing, format, tls, noDelay, maxFrameLength } = options
  const given = { host, port, socket, framing, format, noDelay, tls: tls === true ? {} : tls }
  return {
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
    timeout: formatDuration(timeout),
    keepAlive: keepAlive === 0 ? 'off' : formatDuration(keepAlive),
    ...(maxFrameLength !== undefined && { limits: { maxFrameLength } }),
    dataflow: [],
  }
}
