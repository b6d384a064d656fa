import { isIP } from 'node:net'
import { resolve } from 'node:path'
import type { StepDefinition } from '../contracts/define.ts'
import type { DialOptions } from '../contracts/transport.ts'
import type { RelayPlan, StepPlan } from './planned.ts'
import type { Place, Planner, Unanswerable } from './planner.ts'
import type { ConfigPath } from './problems.ts'
import type { Report } from './report.ts'
import type { ListenOutput } from './schema.ts'
import { handshake, readTlsFiles } from './tls-files.ts'

/**
 * Plans the `relay:` of an entry of `listen:`.
 * @param path that of the entry
 */
export function planRelay(
  entry: ListenOutput,
  path: ConfigPath,
  planner: Planner,
  baseDir: string,
  report: Report,
): RelayPlan | undefined {
  const { relay, keepAlive, noDelay } = entry
  if (relay === undefined) return undefined
  requireNoMessages(entry, path, report)
  const inspection = planInspection(entry, path, planner, report)
  const { to, balance, health, connectTimeout: timeout, tls } = relay
  const secured = tls && readTlsFiles(tls, [...path, 'relay', 'tls'], baseDir, report)
  const listed = typeof to === 'string' ? [to] : to
  const targets = listed.map((text, i) => {
    const target = targetOf(text, baseDir)
    if (target.port !== undefined && (target.port < 1 || target.port > 65_535)) {
      const at = [...path, 'relay', 'to', ...(typeof to === 'string' ? [] : [i])]
      const hint = 'write a number from 1 to 65535 behind the host'
      report.add({ code: 'VALUE_INVALID', path: at, message: `${text} has no port that exists`, hint })
    }
    const { host } = target
    const servername = tls?.servername ?? (host !== undefined && isIP(host) === 0 ? host : undefined)
    return { dial: { ...target, timeout, socket: { keepAlive, noDelay } }, servername }
  })
  return {
    targets,
    balance,
    health,
    ...inspection,
    tls: secured && { ...secured, ...handshake(tls), verify: tls?.insecure !== true },
  }
}

/** The dataflows of the two directions. */
function planInspection(entry: ListenOutput, path: ConfigPath, planner: Planner, report: Report) {
  const relay = entry.relay!
  const { inspect } = relay
  const place: Place = { within: [], counters: planner.countersOf(String(path[1])), unanswerable }
  const planned = (['toServer', 'toClient'] as const).map((direction) => {
    const at = [...path, 'relay', direction]
    if (relay[direction] !== undefined && inspect === 'off') {
      const message = `${direction} does nothing, because relay.inspect is off`
      report.add({ code: 'VALUE_INVALID', path: at, at: 'key', message, hint: 'add inspect: copy, or inspect: inline' })
    }
    const steps = (planner.resolve(relay[direction], at, place) as { steps: readonly StepPlan[] } | undefined)?.steps
    if (inspect === 'inline') requireNothingHeld(steps ?? [], report)
    return steps
  })
  if (inspect !== 'off' && relay.toServer === undefined && relay.toClient === undefined) {
    const message = `relay.inspect is ${inspect}, and there is no dataflow to inspect with`
    const hint = 'add toServer: or toClient: with at least one step'
    report.add({ code: 'KEY_MISSING', path: [...path, 'relay', 'toServer'], message, hint })
  }
  return { inspect, toServer: planned[0], toClient: planned[1] }
}

function unanswerable({ name }: StepDefinition): Unanswerable {
  const message = `${name} speaks to the sender, and in a relay the other side does that`
  return { message, hint: `take ${name} away, or use log or a sink` }
}

/** What a step makes of many messages comes when the place of those has been sent: it could not be passed on. */
function requireNothingHeld(steps: readonly StepPlan[], report: Report): void {
  for (const { definition, path, name } of steps) {
    if (definition.kind !== 'step' || !definition.holds) continue
    const message = `${name} holds messages, and what a relay passes on inline cannot wait for others`
    const hint = `use inspect: copy, or put ${name} into a fork`
    report.add({ code: 'STEP_MISPLACED', path: [...path, name], at: 'key', message, hint })
  }
}

/** Bytes that are passed on are no messages, so what would be done with messages is a mistake. */
function requireNoMessages(entry: ListenOutput, path: ConfigPath, report: Report): void {
  for (const key of ['dataflow', 'onConnect', 'onDisconnect', 'onError', 'key'] as const) {
    if (entry[key] === undefined || (key === 'onError' && entry.relay?.inspect !== 'off')) continue
    const message = `${path.join('.')} has both relay and ${key}, and a relay passes bytes on`
    const hint = `take ${key} away, or look at the bytes with relay.inspect and relay.toServer`
    report.add({ code: 'VALUE_INVALID', path: [...path, key], at: 'key', message, hint })
  }
}

/** What `host:port`, `[ipv6]:port` or a path leads to. */
function targetOf(text: string, baseDir: string): Pick<DialOptions, 'host' | 'port' | 'path'> {
  if (text.includes('/')) return { path: resolve(baseDir, text) }
  const [, host, port] = /^\[?(.+?)\]?:(\d+)$/.exec(text)!
  return { host: host!, port: Number(port) }
}
