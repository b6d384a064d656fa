import { isIP } from 'node:net'
import { resolve } from 'node:path'
import type { StepDefinition } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Framing } from '../contracts/framing.ts'
import type { Expression } from '../contracts/schema.ts'
import type { DialOptions, SocketOptions } from '../contracts/transport.ts'
import { ByteWriter } from '../util/byte-writer.ts'
import { addressesOf } from './addresses.ts'
import type { Environment } from './environment.ts'
import { type DeviceIds, readHosts } from './hosts.ts'
import type { Place, Unanswerable } from './place.ts'
import type { ConnectPlan, DevicePlan, ListenPlan, StepPlan } from './planned.ts'
import type { Planner } from './planner.ts'
import type { ConfigPath } from './problems.ts'
import { planProxyProtocol } from './proxy-protocol.ts'
import { inRelay, planRelay } from './relay.ts'
import type { Report } from './report.ts'
import type { ConnectOutput, ListenOutput } from './schema-endpoints.ts'
import { handshake, readTlsFiles } from './tls-files.ts'

/** Plans an entry of `listen:`. @returns undefined when there is a mistake that leaves nothing to plan */
export function planListen(
  name: string,
  entry: ListenOutput,
  planner: Planner,
  environment: Environment,
  report: Report,
): ListenPlan | undefined {
  const path = ['listen', name]
  const common = planCommon(name, entry, path, planner, report)
  const { tls, ipv6Only, backlog, limits } = entry
  const hasAddress = entry.port !== undefined || entry.socket !== undefined || isWrong(path, ['port', 'socket'], report)
  if (!ambiguous(entry, path, report) && !hasAddress) {
    const hint = 'add port: 9100, or socket: with a path'
    report.add({ code: 'ADDRESS_MISSING', path, at: 'key', message: `listen.${name} has no port`, hint })
  }
  const relay = planRelay(entry, path, planner, environment.baseDir, report)
  const proxyProtocol = planProxyProtocol(entry, path, report)
  const ends = { ipv6Only, backlog, socket: socketOptions(entry) }
  const addresses = addressesOf(entry, environment.baseDir).map((address) => ({ ...address, ...ends }))
  const secured = tls && readTlsFiles(tls, [...path, 'tls'], environment.baseDir, report)
  if (common === undefined) return undefined
  return {
    ...common,
    kind: 'listen',
    written: [
      entry,
      secured,
      relay?.targets,
      relay?.tls,
      relay?.mirror?.target,
      relay?.mirror?.tls,
      ...common.written,
      ...planner.parts.takeWritten(),
    ],
    limits,
    addresses,
    proxyProtocol,
    relay,
    tls: secured && { ...secured, cert: secured.cert ?? '', key: secured.key ?? '', ...handshake(tls) },
  }
}

/**
 * Plans an entry of `connect:`.
 * @param ids of the devices that were planned before
 * @returns undefined when there is a mistake that leaves nothing to plan
 */
export function planConnect(
  name: string,
  entry: ConnectOutput,
  planner: Planner,
  ids: DeviceIds,
  environment: Environment,
  report: Report,
): ConnectPlan | undefined {
  const path = ['connect', name]
  const common = planCommon(name, entry, path, planner, report)
  const { tls, reconnect, poll, limits, hosts } = entry
  const devices = devicesOf(entry, path, ids, environment, report)
  const secured = tls && readTlsFiles(tls, [...path, 'tls'], environment.baseDir, report)
  if (common === undefined) return undefined
  const send = poll && framed(poll.send, common.framingOut, [...path, 'poll', 'send'], report)
  return {
    ...common,
    kind: 'connect',
    // Devices are compared one by one.
    written: [{ ...entry, hosts: undefined }, secured, ...common.written],
    // While a reload exchanges devices, those that go and those that come are connected.
    limits: { maxConnections: hosts === undefined ? 1 : 2 * devices.length, ...limits },
    devices,
    hostsFile: typeof hosts === 'string' ? hosts : undefined,
    reconnect,
    poll: poll && send && { every: poll.every, timeout: poll.timeout, bytes: send },
    tls: secured && {
      ...secured,
      ...handshake(tls),
      verify: tls?.insecure !== true,
    },
  }
}

type Entry = ListenOutput | ConnectOutput

const DATAFLOWS = ['dataflow', 'onConnect', 'onDisconnect', 'onError'] as const

function planCommon(name: string, entry: Entry, path: ConfigPath, planner: Planner, report: Report) {
  const isRelay = ('relay' in entry && entry.relay !== undefined) || report.isWrongWithin([...path, 'relay'])
  const place: Place = { within: [], counters: planner.countersOf(name) }
  const key = planner.resolve(entry.key, [...path, 'key'], place) as Expression | undefined
  const steps: Partial<Record<(typeof DATAFLOWS)[number], readonly StepPlan[]>> = {}
  for (const name of DATAFLOWS) {
    const here: Place = {
      ...place,
      ...(name === 'onDisconnect' && { unanswerable: afterDisconnect }),
      ...(name === 'onError' && isRelay && { unanswerable: inRelay }),
      ...(name === 'dataflow' && { whole: { hasKey: entry.key !== undefined } }),
    }
    const planned = planner.steps(entry[name], [...path, name], here)
    if (planned !== undefined) steps[name] = planned
  }
  if (steps.dataflow === undefined && !isRelay && !isWrong(path, ['dataflow'], report)) {
    const message = `${name} does nothing with its messages`
    const hint = 'add dataflow: with at least one step'
    report.add({ code: 'DATAFLOW_MISSING', severity: 'warning', path, at: 'key', message, hint })
  }
  const framing = planner.parts.framings(entry.framing, [...path, 'framing'])
  const format = planner.parts.formats(entry.format, [...path, 'format'])
  if (framing === undefined || format === undefined) return undefined
  return {
    name,
    path,
    position: report.positionOf(path),
    framingIn: framing.in.part,
    framingOut: framing.out.part,
    formatIn: format.in.part,
    formatOut: format.out.part,
    framingWords: { in: framing.in.words, out: framing.out.words },
    formatWords: { in: format.in.words, out: format.out.words },
    runOnConnect: entry.runOnConnect,
    key,
    dataflow: steps.dataflow,
    onConnect: steps.onConnect,
    onDisconnect: steps.onDisconnect,
    onError: steps.onError,
    written: planner.parts.takeWritten(),
    counters: place.counters,
  }
}

function afterDisconnect({ name }: StepDefinition): Unanswerable {
  const message = `${name} needs a connection, and after a disconnect there is none`
  return { message, hint: 'take it away, or use send, which writes to other clients' }
}

function socketOptions({ keepAlive, noDelay }: Entry): SocketOptions {
  return { keepAlive, noDelay }
}

/** What an entry connects to: the devices of `hosts:`, else one. None when there is a mistake, which has been reported. */
function devicesOf(
  entry: ConnectOutput,
  path: ConfigPath,
  ids: DeviceIds,
  environment: Environment,
  report: Report,
): readonly DevicePlan[] {
  const { tls, timeout } = entry
  const deviceAt = (target: Target, id?: string, tags = {}, delay = 0): DevicePlan => {
    const { host } = target
    const servername = tls?.servername ?? (host !== undefined && isIP(host) === 0 ? host : undefined)
    return { id, tags, delay, servername, dial: { ...target, timeout, socket: socketOptions(entry) } }
  }
  if (entry.hosts === undefined) return targetOf(entry, path, environment, report).map((target) => deviceAt(target))
  for (const key of ['host', 'socket'] as const) {
    if (entry[key] === undefined) continue
    const message = `${path.join('.')} has both hosts and ${key}`
    report.add({ code: 'ADDRESS_AMBIGUOUS', path: [...path, key], at: 'key', message, hint: 'keep one of them' })
  }
  const hosts = readHosts(entry, path, ids, environment, report)
  const spread = Math.min(entry.poll?.every ?? LONGEST_SPREAD, LONGEST_SPREAD)
  return hosts.map(({ id, host, port, tags }, i) => deviceAt({ host, port }, id, tags, (spread * i) / hosts.length))
}

/** Milliseconds over which the first calls of many devices are spread, and with them their polls. */
const LONGEST_SPREAD = 1000

type Target = Pick<DialOptions, 'host' | 'port' | 'path'>

function targetOf(entry: ConnectOutput, path: ConfigPath, { baseDir }: Environment, report: Report): Target[] {
  const { port, socket, host } = entry
  if (ambiguous(entry, path, report)) return []
  if (socket !== undefined) return [{ path: resolve(baseDir, socket) }]
  if (port !== undefined && host !== undefined) return [{ host, port }]
  if (isWrong(path, ['host', 'hosts', 'port', 'socket'], report)) return []
  const missing = [host === undefined && 'host', port === undefined && 'port'].filter((one) => one !== false)
  const message = `connect.${path[1]} has no ${missing.join(' and no ')}`
  const hint = 'write host: 10.0.0.7 and port: 2112, or socket: with a path, or hosts: with many'
  report.add({ code: 'ADDRESS_MISSING', path, at: 'key', message, hint })
  return []
}

/** One of the options is there, and something is wrong with it. */
function isWrong(path: ConfigPath, keys: readonly string[], report: Report): boolean {
  return keys.some((key) => report.isWrong([...path, key]))
}

/** The bytes of a poll. @returns undefined when the framing refuses them, which is then reported */
function framed(payload: Buffer, framing: Framing, path: ConfigPath, report: Report): Buffer | undefined {
  const writer = new ByteWriter()
  try {
    framing.encode(payload, writer)
    return writer.take()
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error
    const { message, hint } = error
    report.add({ code: 'VALUE_INVALID', path, message: `poll.send cannot be framed: ${message}`, hint })
    return undefined
  }
}

function ambiguous({ port, socket }: Entry, path: ConfigPath, report: Report): boolean {
  if (port === undefined || socket === undefined) return false
  const message = `${path.join('.')} has both a port and a socket`
  report.add({ code: 'ADDRESS_AMBIGUOUS', path: [...path, 'socket'], at: 'key', message, hint: 'keep one of them' })
  return true
}
