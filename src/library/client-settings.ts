import { formatAddress } from '../contracts/client.ts'
import { createTcp } from '../transports/tcp.ts'
import { createClientTls } from '../transports/tls.ts'
import { formatDuration } from '../util/units.ts'
import type { ClientSettings } from '../wire/client-settings.ts'
import { dialSecured } from '../wire/dialling.ts'
import type { CheckedOptions, ClientOptions } from './client-options.ts'
import type { ConnectEntry } from './config.ts'
import { planOf } from './create-server.ts'

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
    dial: (signal) => dialSecured(createTcp(), { ...dial, signal }, layer),
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
