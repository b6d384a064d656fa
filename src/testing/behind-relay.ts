import type { EndpointPlan, SocketPlan } from '../config/plan.ts'
import type { Transport } from '../contracts/transport.ts'

/** The server behind a relay, as a case plays it: it reads all that the client sends, then says its part and closes. */
export interface BehindRelay {
  /** What has reached it. */
  readonly got: Buffer
  close(): Promise<void>
}

/**
 * Plays the first server of a relay.
 * @param says what it sends
 * @returns undefined when the endpoint is no relay
 */
export async function playBehindRelay(
  endpoint: EndpointPlan,
  transport: Transport,
  says: Buffer,
): Promise<BehindRelay | undefined> {
  if (endpoint.kind !== 'listen' || endpoint.relay === undefined) return undefined
  const { path, port } = endpoint.relay.targets[0]!.dial
  const got: Buffer[] = []
  const listener = await transport.listen(path === undefined ? { port: port! } : { path }, (socket) =>
    socket.start({
      onData: (chunk) => void got.push(chunk),
      onEnd() {
        socket.write(says)
        socket.end()
      },
      onDrain: () => undefined,
      onClose: () => undefined,
    }),
  )
  return {
    get got() {
      return Buffer.concat(got)
    },
    close: () => listener.close(),
  }
}

/**
 * A relay as a case needs it: with its first server alone, without TLS, and at a port that no server has, because the
 * network of a case is one machine.
 */
export function withOneServer(endpoint: SocketPlan): SocketPlan {
  if (endpoint.kind !== 'listen' || endpoint.relay === undefined) return endpoint
  const { relay, addresses } = endpoint
  return {
    ...endpoint,
    addresses: addresses.slice(0, 1).map((address) => (address.path === undefined ? { ...address, port: 0 } : address)),
    relay: { ...relay, tls: undefined, targets: relay.targets.slice(0, 1) },
  }
}
