import type { Events } from '../contracts/events.ts'
import type { Dataflow } from '../contracts/message.ts'
import type { Transport } from '../contracts/transport.ts'
import { Relay } from '../relay/relay.ts'
import type { RelaySpec } from '../relay/spec.ts'
import type { UpstreamTarget } from '../relay/upstream.ts'
import { Upstreams } from '../relay/upstreams.ts'
import type { RelayPlan, StepPlan, UpstreamPlan } from './planned.ts'

/** What a relay is made with. */
export interface RelayParts {
  readonly transport: Transport
  readonly events: Events
  /** Binds the steps of a dataflow. */
  dataflow(steps: readonly StepPlan[] | undefined): Promise<Dataflow | undefined>
  /** Gives each of what is dialled its TLS. */
  secured(tls: RelayPlan['tls'], targets: readonly UpstreamPlan[]): Promise<readonly UpstreamTarget[]>
}

/**
 * Makes what an endpoint with `relay:` has beside every other.
 * @returns also all servers behind it: whoever has them begins and ends looking whether they are well
 */
export async function createRelay(
  endpoint: string,
  plan: RelayPlan,
  { transport, events, dataflow, secured }: RelayParts,
) {
  const { balance, health, sendProxy, inspect, mirror } = plan
  const behind = (targets: readonly UpstreamTarget[]) =>
    new Upstreams({
      targets,
      balance,
      health,
      sendProxy,
      transport,
      now: () => performance.now(),
      onFailure: (target, error, retryIn) => events.emit('dial.failed', { endpoint, target, error, retryIn }),
      onChange: (target, error) => {
        if (error === undefined) events.emit('upstream.recovered', { endpoint, target })
        else events.emit('upstream.failed', { endpoint, target, error })
      },
    })
  const upstreams = behind(await secured(plan.tls, plan.targets))
  const dataflows = { toServer: await dataflow(plan.toServer), toClient: await dataflow(plan.toClient) }
  const mirrored = mirror && behind(await secured(mirror.tls, [mirror.target]))
  const compared = await dataflow(mirror?.compare)
  const compare = compared && { dataflow: compared, key: mirror!.key, timeout: mirror!.timeout }
  const spec: Pick<RelaySpec, 'serve' | 'inspect' | 'mirror'> = {
    serve: (socket, client, host) => new Relay(socket, client, host, upstreams),
    inspect: inspect === 'off' ? undefined : { mode: inspect, dataflows },
    mirror: mirrored && { upstreams: mirrored, compare },
  }
  return { spec, upstreams: mirrored === undefined ? [upstreams] : [upstreams, mirrored] }
}
