import { isDeepStrictEqual } from 'node:util'
import type { BufferCounters } from '../contracts/counters.ts'
import type { DeliveryOptions } from '../contracts/delivery.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { ReloadReport } from '../contracts/events.ts'
import { isSameAddress, type ListenOptions } from '../contracts/transport.ts'
import { overlap } from './addresses.ts'
import type { DevicePlan, EndpointPlan, Plan } from './planned.ts'
import { stepsOf } from './step-words.ts'

/** Says what another configuration would change. */
export function diffPlans(before: Plan, next: Plan): ReloadReport {
  const old = new Map(before.endpoints.map((endpoint) => [endpoint.name, endpoint]))
  const names = new Set(next.endpoints.map(({ name }) => name))
  const [kept, added] = split(next.endpoints, ({ name }) => old.has(name))
  const [unchanged, changed] = split(kept, (plan) => isDeepStrictEqual(plan.written, old.get(plan.name)!.written))
  const devices = diffDevices(kept, old)
  return {
    added: [...namesOf(added), ...devices.added],
    removed: [...namesOf(before.endpoints.filter(({ name }) => !names.has(name))), ...devices.removed],
    changed: [...namesOf(changed), ...devices.changed],
    unchanged: namesOf(unchanged),
    restart: [...SETTINGS.filter((key) => !isDeepStrictEqual(before[key], next[key])), ...boundOtherwise(before, next)],
  }
}

/** Devices of endpoints that stay, as `NAME/ID`. An endpoint where nothing else differs is unchanged. */
function diffDevices(kept: readonly EndpointPlan[], old: ReadonlyMap<string, EndpointPlan>) {
  const next = new Map(kept.flatMap(devicesOf))
  const before = new Map(kept.flatMap(({ name }) => devicesOf(old.get(name)!)))
  const written = ({ dial, tags }: DevicePlan) => [dial.host, dial.port, tags]
  const isOther = (name: string, device: DevicePlan) => {
    const was = before.get(name)
    return was !== undefined && !isDeepStrictEqual(written(was), written(device))
  }
  return {
    added: Array.from(next.keys()).filter((name) => !before.has(name)),
    removed: Array.from(before.keys()).filter((name) => !next.has(name)),
    changed: Array.from(next).flatMap(([name, device]) => (isOther(name, device) ? [name] : [])),
  }
}

function devicesOf(endpoint: EndpointPlan): [name: string, device: DevicePlan][] {
  if (endpoint.kind !== 'connect') return []
  return endpoint.devices.flatMap((device) =>
    device.id === undefined ? [] : [[`${endpoint.name}/${device.id}`, device]],
  )
}

/**
 * A reload binds what is new before it unbinds what is old, so that nobody is refused.
 * @throws SluiceError `address_in_use` when the two cannot be bound at the same time
 */
export function requireFreeAddresses(before: Plan, next: Plan): void {
  const bound = addressesOf(before)
  for (const { name, address } of addressesOf(next)) {
    if (bound.some((old) => isSameAddress(old.address, address))) continue
    const taken = bound.find((old) => overlap(old.address, address))
    if (taken === undefined) continue
    const message = `${name}: ${inWords(address)} and ${inWords(taken.address)}, where ${taken.name} listens now, exclude each other`
    throw new SluiceError('address_in_use', message, {
      hint: 'Restart the server for this change, or reload once without the old address and then with the new one.',
    })
  }
}

/**
 * What waits on disk belongs to the step of its id, so a configuration without that step would leave it behind.
 * @param buffers of the running server
 * @throws SluiceError naming the step and the choices
 */
export function requireBuffersKept(buffers: readonly BufferCounters[], next: Plan): void {
  const kept = diskBuffersOf(next)
  for (const { kind, step, messages } of buffers) {
    if (kind === 'memory' || messages === 0 || kept.has(step)) continue
    throw new SluiceError(
      'storage_failed',
      `${messages} messages wait in the buffer of ${step}, and no step has that id`,
      {
        hint: `Keep the step until they are delivered, or give its id, ${step}, to the step that shall deliver them.`,
      },
    )
  }
}

/** The ids of the steps with a disk buffer. */
export function diskBuffersOf({ endpoints }: Pick<Plan, 'endpoints'>): ReadonlySet<string> {
  const steps = endpoints
    .flatMap(stepsOf)
    .filter(
      ({ definition, options }) => definition.kind === 'sink' && (options as DeliveryOptions).buffer?.kind === 'disk',
    )
  return new Set(steps.map(({ id }) => id))
}

/** The plan that describes the server after a reload: the new one, but for what needs a restart. */
export function afterReload(before: Plan, next: Plan): Plan {
  const bound = addressesOf(before)
  const endpoints = next.endpoints.map((endpoint): EndpointPlan => {
    if (endpoint.kind !== 'listen') return endpoint
    const addresses = endpoint.addresses.map(
      (address) => bound.find((old) => isSameAddress(old.address, address))?.address ?? address,
    )
    return { ...endpoint, addresses }
  })
  const { admin, log, data, workers, balance } = before
  return { ...next, endpoints, admin, log, data, workers, balance }
}

/** Settings of the whole program, which are used when it starts. */
const SETTINGS = ['admin', 'log', 'data', 'workers', 'balance'] as const

/** Options of listening sockets are given to them when they are bound. */
function boundOtherwise(before: Plan, next: Plan): string[] {
  const bound = addressesOf(before)
  const differing = addressesOf(next).flatMap(({ name, address }) => {
    const old = bound.find((one) => isSameAddress(one.address, address))?.address ?? address
    const given = (options: ListenOptions) => ({ backlog: options.backlog, ...options.socket })
    return Object.entries(given(address))
      .filter(([key, value]) => value !== given(old)[key as 'backlog'])
      .map(([key]) => `listen.${name}.${key}`)
  })
  return Array.from(new Set(differing))
}

function addressesOf({ endpoints }: Plan): { readonly name: string; readonly address: ListenOptions }[] {
  return endpoints.flatMap((endpoint) =>
    endpoint.kind === 'listen' ? endpoint.addresses.map((address) => ({ name: endpoint.name, address })) : [],
  )
}

function inWords({ host = '*', port, path }: ListenOptions): string {
  return path ?? `${host.includes(':') ? `[${host}]` : host}:${port}`
}

function split<T>(items: readonly T[], test: (item: T) => boolean): [T[], T[]] {
  return [items.filter(test), items.filter((item) => !test(item))]
}

function namesOf(endpoints: readonly EndpointPlan[]): string[] {
  return endpoints.map(({ name }) => name)
}
