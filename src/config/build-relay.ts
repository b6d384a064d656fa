import { Relay } from '../relay/relay.ts'
import type { RelaySpec } from '../relay/spec.ts'
import { Upstream, type UpstreamOptions } from '../relay/upstream.ts'
import { Upstreams } from '../relay/upstreams.ts'
import { buildDataflow } from './build-dataflow.ts'
import type { Scope } from './build-scope.ts'
import { secured } from './build-tls.ts'
import type { ListenPlan, RelayPlan, UpstreamPlan } from './planned.ts'

/**
 * Makes what an endpoint with `relay:` has beside every other, and the servers behind it. What is known of a server stays over
 * a reload, unless the way to it has changed: its address, TLS, the health check, `sendProxy`, the time it has to take a
 * connection.
 */
export async function buildRelay(
  endpoint: ListenPlan,
  plan: RelayPlan,
  scope: Scope,
): Promise<Pick<RelaySpec, 'serve' | 'inspect' | 'mirror'>> {
  const { world, opened, upstreams } = scope.building
  const { balance, health, sendProxy, inspect, mirror } = plan
  const { tcp: transport, events, share } = world
  const { name } = endpoint
  const now = () => performance.now()
  const options: UpstreamOptions = {
    health,
    sendProxy,
    transport,
    now,
    onChange: (target, error) => {
      if (error === undefined) events.emit('upstream.recovered', { endpoint: name, target })
      else events.emit('upstream.failed', { endpoint: name, target, error })
    },
  }
  /** @param role clients of a server and what is sent to a mirror do not count together */
  const behind = async (role: 'server' | 'mirror', tls: RelayPlan['tls'], targets: readonly UpstreamPlan[]) => {
    const secure = await secured(endpoint, tls, targets)
    const all = targets.map((target, i) => {
      const way = JSON.stringify([name, role, target, tls, health, sendProxy])
      const shared = share(`upstream ${way}`, () => new Upstream(secure[i]!, options))
      opened.add({ close: () => shared.release() })
      return shared.value
    })
    return new Upstreams(all, {
      balance,
      now,
      onFailure: (target, error, retryIn) => events.emit('dial.failed', { endpoint: name, target, error, retryIn }),
    })
  }
  const servers = await behind('server', plan.tls, plan.targets)
  const toServer = await buildDataflow(plan.toServer, scope)
  const toClient = await buildDataflow(plan.toClient, scope)
  const mirrored = mirror && (await behind('mirror', mirror.tls, [mirror.target]))
  const compared = await buildDataflow(mirror?.compare, scope)
  const compare = compared && { dataflow: compared, key: mirror!.key, timeout: mirror!.timeout }
  const both = mirrored === undefined ? [servers] : [servers, mirrored]
  for (const one of both) opened.add({ activate: () => one.watch() })
  upstreams.set(
    name,
    both.flatMap(({ all }) => all),
  )
  return {
    serve: (socket, client, host) => new Relay(socket, client, host, servers),
    inspect: inspect === 'off' ? undefined : { mode: inspect, dataflows: { toServer, toClient } },
    mirror: mirrored && { upstreams: mirrored, compare },
  }
}
