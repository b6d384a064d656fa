import type { EndpointPlan, SocketPlan } from '../config/plan.ts'
import type { Transport } from '../contracts/transport.ts'

/** A server behind a relay, as a case plays it: it reads all that the client sends, then says its part and closes. */
export interface BehindRelay {
  /** What has reached it. */
  readonly got: Buffer
  close(): Promise<void>
}

/**
 * Plays a server behind a relay.
 * @param which the first of those in its place, or the one that is its mirror
 * @param says what it sends
 * @returns undefined when the endpoint has no such server
 */
export async function playBehindRelay(
  endpoint: EndpointPlan,
  which: 'server' | 'mirror',
  transport: Transport,
  says: Buffer,
): Promise<BehindRelay | undefined> {
  const relay = endpoint.kind === 'listen' ? endpoint.relay : undefined
  const target = which === 'server' ? relay?.targets[0] : relay?.mirror?.target
  if (target === undefined) return undefined
  const { path, port } = target.dial
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
 * A relay as a case needs it: with its first server alone and its mirror, bytes and nothing before them, nobody who looks
 * whether they are well, and at addresses of which none is another's, because the network of a case is one machine.
 */
export function withOneServer(endpoint: SocketPlan): SocketPlan {
  if (endpoint.kind !== 'listen' || endpoint.relay === undefined) return endpoint
  const { relay, addresses } = endpoint
  const { health, mirror } = relay
  const { timeout } = relay.targets[0]!.dial
  const aside = { dial: { path: MIRROR, timeout }, servername: undefined }
  return {
    ...endpoint,
    addresses: addresses.slice(0, 1).map((address) => (address.path === undefined ? { ...address, port: 0 } : address)),
    relay: {
      ...relay,
      tls: undefined,
      sendProxy: undefined,
      health: { ...health, every: 0 },
      targets: relay.targets.slice(0, 1),
      mirror: mirror && { ...mirror, tls: undefined, target: aside },
    },
  }
}

/** Where the mirror of a case is. */
const MIRROR = 'mirror'
