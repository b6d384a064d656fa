import { Relay } from '../relay/relay.ts'
import type { RelaySpec } from '../relay/spec.ts'
import type { UpstreamTarget } from '../relay/upstream.ts'
import { Upstreams } from '../relay/upstreams.ts'
import { buildDataflow } from './build-dataflow.ts'
import type { Scope } from './build-scope.ts'
import { secured } from './build-tls.ts'
import type { ListenPlan, RelayPlan } from './planned.ts'

/** Makes what an endpoint with `relay:` has beside every other, and the servers behind it. */
export async function buildRelay(
  endpoint: ListenPlan,
  plan: RelayPlan,
  scope: Scope,
): Promise<Pick<RelaySpec, 'serve' | 'inspect' | 'mirror'>> {
  const { world, opened, upstreams } = scope.building
  const { balance, health, sendProxy, inspect, mirror } = plan
  const { tcp: transport, events } = world
  const { name } = endpoint
  const behind = (targets: readonly UpstreamTarget[]) =>
    new Upstreams({
      targets,
      balance,
      health,
      sendProxy,
      transport,
      now: () => performance.now(),
      onFailure: (target, error, retryIn) => events.emit('dial.failed', { endpoint: name, target, error, retryIn }),
      onChange: (target, error) => {
        if (error === undefined) events.emit('upstream.recovered', { endpoint: name, target })
        else events.emit('upstream.failed', { endpoint: name, target, error })
      },
    })
  const servers = behind(await secured(endpoint, plan.tls, plan.targets))
  const toServer = await buildDataflow(plan.toServer, scope)
  const toClient = await buildDataflow(plan.toClient, scope)
  const mirrored = mirror && behind(await secured(endpoint, mirror.tls, [mirror.target]))
  const compared = await buildDataflow(mirror?.compare, scope)
  const compare = compared && { dataflow: compared, key: mirror!.key, timeout: mirror!.timeout }
  const all = mirrored === undefined ? [servers] : [servers, mirrored]
  for (const one of all) opened.add({ activate: () => one.watch(), close: () => one.close() })
  upstreams.set(
    name,
    all.flatMap((one) => one.all),
  )
  return {
    serve: (socket, client, host) => new Relay(socket, client, host, servers),
    inspect: inspect === 'off' ? undefined : { mode: inspect, dataflows: { toServer, toClient } },
    mirror: mirrored && { upstreams: mirrored, compare },
  }
}
