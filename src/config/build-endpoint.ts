import type { Device } from '../contracts/device.ts'
import type { ConnectSpec, EndpointSpec, ListenSpec } from '../engine/spec.ts'
import { createProxyLayer } from '../transports/proxy.ts'
import { createServerTls } from '../transports/tls.ts'
import { buildDataflow } from './build-dataflow.ts'
import { buildRelay } from './build-relay.ts'
import { type Building, createScope } from './build-scope.ts'
import { secured } from './build-tls.ts'
import { placed } from './placed.ts'
import type { SocketPlan } from './planned.ts'

/** Builds an endpoint with connections. */
export async function buildEndpoint(plan: SocketPlan, building: Building): Promise<ListenSpec | ConnectSpec> {
  const scope = createScope(plan, building)
  const { codec, entryPoints } = scope
  // First, because what cannot be delivered from a buffer ends there.
  scope.onError = await buildDataflow(plan.onError, scope)
  const spec: EndpointSpec = {
    name: plan.name,
    framing: plan.framingIn,
    format: plan.formatIn,
    codec,
    dataflow: await buildDataflow(plan.dataflow, scope, plan.key),
    onConnect: await buildDataflow(plan.onConnect, scope),
    onDisconnect: await buildDataflow(plan.onDisconnect, scope),
    onError: scope.onError,
    runOnConnect: plan.runOnConnect,
    limits: plan.limits,
    tls: undefined,
    transport: building.world.tcp,
    counters: plan.counters,
  }
  entryPoints.dataflow = spec.dataflow
  if (plan.kind === 'listen') {
    const tls = plan.tls && (await placed(plan, 'tls', () => createServerTls(plan.tls!)))
    const relay = plan.relay && (await buildRelay(plan, plan.relay, scope))
    const proxy = plan.proxyProtocol && createProxyLayer(plan.proxyProtocol)
    return { ...spec, ...relay, kind: 'listen', proxy, tls, addresses: plan.addresses }
  }
  const { reconnect, poll } = plan
  const devices: readonly Device[] = await secured(plan, plan.tls, plan.devices)
  return { ...spec, kind: 'connect', tls: devices[0]?.tls, devices, reconnect, poll }
}
