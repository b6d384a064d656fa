import type { PartContext } from '../contracts/context.ts'
import type { Events } from '../contracts/events.ts'
import type { Dataflow } from '../contracts/message.ts'
import type { Transport } from '../contracts/transport.ts'
import { Relay } from '../relay/relay.ts'
import type { RelaySpec } from '../relay/spec.ts'
import { Upstream, type UpstreamOptions, type UpstreamTarget } from '../relay/upstream.ts'
import { Upstreams } from '../relay/upstreams.ts'
import type { RelayPlan, StepPlan, UpstreamPlan } from './planned.ts'

/** What a relay is made with. */
export interface RelayParts {
  readonly transport: Transport
  readonly events: Events
  /** Holds what outlives a reload. */
  readonly share: PartContext['share']
  /** Told of everything that is to be closed with the relay, as soon as it is there. */
  opened(close: () => Promise<void>): void
  /** Binds the steps of a dataflow. */
  dataflow(steps: readonly StepPlan[] | undefined): Promise<Dataflow | undefined>
  /** Gives each of what is dialled its TLS. */
  secured(tls: RelayPlan['tls'], targets: readonly UpstreamPlan[]): Promise<readonly UpstreamTarget[]>
}

/**
 * Makes what an endpoint with `relay:` has beside every other. What is known of a server stays over a reload, unless the way to
 * it has changed: its address, TLS, the health check, `sendProxy`, the time it has to take a connection.
 * @returns also all servers behind it: whoever has them begins to look whether they are well
 */
export async function createRelay(
  endpoint: string,
  plan: RelayPlan,
  { transport, events, share, opened, dataflow, secured }: RelayParts,
) {
  const { balance, health, sendProxy, inspect, mirror } = plan
  const now = () => performance.now()
  const options: UpstreamOptions = {
    health,
    sendProxy,
    transport,
    now,
    onChange: (target, error) => {
      if (error === undefined) events.emit('upstream.recovered', { endpoint, target })
      else events.emit('upstream.failed', { endpoint, target, error })
    },
  }
  /** @param role clients of a server and what is sent to a mirror do not count together */
  const behind = async (role: 'server' | 'mirror', tls: RelayPlan['tls'], targets: readonly UpstreamPlan[]) => {
    const secure = await secured(tls, targets)
    const all = targets.map((target, i) => {
      const way = JSON.stringify([endpoint, role, target, tls, health, sendProxy])
      const shared = share(`upstream ${way}`, () => new Upstream(secure[i]!, options))
      opened(() => shared.release())
      return shared.value
    })
    return new Upstreams(all, {
      balance,
      now,
      onFailure: (target, error, retryIn) => events.emit('dial.failed', { endpoint, target, error, retryIn }),
    })
  }
  const upstreams = await behind('server', plan.tls, plan.targets)
  const dataflows = { toServer: await dataflow(plan.toServer), toClient: await dataflow(plan.toClient) }
  const mirrored = mirror && (await behind('mirror', mirror.tls, [mirror.target]))
  const compared = await dataflow(mirror?.compare)
  const compare = compared && { dataflow: compared, key: mirror!.key, timeout: mirror!.timeout }
  const spec: Pick<RelaySpec, 'serve' | 'inspect' | 'mirror'> = {
    serve: (socket, client, host) => new Relay(socket, client, host, upstreams),
    inspect: inspect === 'off' ? undefined : { mode: inspect, dataflows },
    mirror: mirrored && { upstreams: mirrored, compare },
  }
  return { spec, upstreams: mirrored === undefined ? [upstreams] : [upstreams, mirrored] }
}
