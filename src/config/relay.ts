import { isIP } from 'node:net'
import { resolve } from 'node:path'
import type { StepDefinition } from '../contracts/define.ts'
import type { Expression } from '../contracts/schema.ts'
import type { DialOptions } from '../contracts/transport.ts'
import type { Place, Unanswerable } from './place.ts'
import type { MirrorPlan, RelayPlan, StepPlan, UpstreamPlan } from './planned.ts'
import type { Planner } from './planner.ts'
import type { ConfigPath } from './problems.ts'
import type { Report } from './report.ts'
import type { ListenOutput } from './schema-endpoints.ts'
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
  const { relay } = entry
  if (relay === undefined) return undefined
  return new RelayPlanner(entry, relay, [...path, 'relay'], planner, baseDir, report).plan()
}

type RelayOutput = NonNullable<ListenOutput['relay']>

class RelayPlanner {
  readonly #entry: ListenOutput
  readonly #relay: RelayOutput
  readonly #path: ConfigPath
  readonly #planner: Planner
  readonly #baseDir: string
  readonly #report: Report
  readonly #place: Place

  /** @param path that of `relay` */
  constructor(
    entry: ListenOutput,
    relay: RelayOutput,
    path: ConfigPath,
    planner: Planner,
    baseDir: string,
    report: Report,
  ) {
    this.#entry = entry
    this.#relay = relay
    this.#path = path
    this.#planner = planner
    this.#baseDir = baseDir
    this.#report = report
    this.#place = { within: [], counters: planner.countersOf(String(path[1])), unanswerable: inRelay }
  }

  plan(): RelayPlan {
    const { to, balance, tls, sendProxy } = this.#relay
    this.#requireNoMessages()
    const { toServer, toClient } = this.#inspection()
    const listed = typeof to === 'string' ? [to] : to
    return {
      targets: listed.map((text, i) =>
        this.#target(text, tls, [...this.#path, 'to', ...(typeof to === 'string' ? [] : [i])]),
      ),
      balance,
      health: this.#health(),
      tls: this.#tls(tls, [...this.#path, 'tls']),
      sendProxy,
      inspect: this.#relay.inspect,
      toServer,
      toClient,
      mirror: this.#mirror(),
    }
  }

  #target(text: string, tls: RelayOutput['tls'], path: ConfigPath): UpstreamPlan {
    const { keepAlive, noDelay } = this.#entry
    const target = targetOf(text, this.#baseDir)
    if (target.port !== undefined && (target.port < 1 || target.port > 65_535)) {
      const hint = 'write a number from 1 to 65535 behind the host'
      this.#report.add({ code: 'VALUE_INVALID', path, message: `${text} has no port that exists`, hint })
    }
    const { host } = target
    if (this.#leadsHere(host, target.port)) {
      const message = `${text} is this entry itself, so a client would be connected to Sluice again and again`
      this.#report.add({ code: 'VALUE_INVALID', path, message, hint: 'write the address of the server behind it' })
    }
    const servername = tls?.servername ?? (host !== undefined && isIP(host) === 0 ? host : undefined)
    return { dial: { ...target, timeout: this.#relay.connectTimeout, socket: { keepAlive, noDelay } }, servername }
  }

  /** Whether a target is an address on which the entry listens. Behind the same port of another address may be a server. */
  #leadsHere(host: string | undefined, port: number | undefined): boolean {
    if (port === undefined || port !== this.#entry.port) return false
    const listened = [this.#entry.host ?? EVERYWHERE].flat()
    return listened.some((one) => one === host || (WILDCARDS.has(one) && LOOPBACKS.has(host!)))
  }

  #tls(tls: RelayOutput['tls'], path: ConfigPath): RelayPlan['tls'] {
    if (tls === undefined) return undefined
    const secured = readTlsFiles(tls, path, this.#baseDir, this.#report)
    return { ...secured, ...handshake(tls), verify: !tls.insecure }
  }

  #health(): RelayPlan['health'] {
    const { first, max, check, every } = this.#relay.health
    if (check === 'off' && every !== undefined) {
      const message = 'health.every does nothing, because health.check is off'
      this.#reject([...this.#path, 'health', 'every'], message, 'add check: connect')
    }
    return { first, max, every: check === 'off' ? 0 : (every ?? CHECK_EVERY) }
  }

  /** The dataflows of the two directions. */
  #inspection() {
    const { inspect } = this.#relay
    const planned = (['toServer', 'toClient'] as const).map((direction) => {
      if (this.#relay[direction] !== undefined && inspect === 'off') {
        const message = `${direction} does nothing, because relay.inspect is off`
        this.#reject([...this.#path, direction], message, 'add inspect: copy, or inspect: inline')
      }
      const steps = this.#planner.steps(this.#relay[direction], [...this.#path, direction], this.#place)
      if (inspect === 'inline') requireNothingHeld(steps ?? [], this.#report)
      return steps
    })
    if (inspect !== 'off' && this.#relay.toServer === undefined && this.#relay.toClient === undefined) {
      const message = `relay.inspect is ${inspect}, and there is no dataflow to inspect with`
      const hint = 'add toServer: or toClient: with at least one step'
      this.#report.add({ code: 'KEY_MISSING', path: [...this.#path, 'toServer'], message, hint })
    }
    return { toServer: planned[0], toClient: planned[1] }
  }

  #mirror(): MirrorPlan | undefined {
    const { mirror, inspect } = this.#relay
    if (mirror === undefined) return undefined
    const path = [...this.#path, 'mirror']
    if (inspect === 'inline') {
      const message = 'a mirror gets what clients send, and with inspect: inline that is not what the server gets'
      this.#reject(path, message, 'use inspect: copy, or put the mirror into a relay of its own before this one')
    }
    for (const key of ['key', 'timeout'] as const) {
      if (mirror[key] === undefined || mirror.compare !== undefined) continue
      const message = `mirror.${key} does nothing, because no answers are compared`
      this.#reject([...path, key], message, 'add compare: with at least one step')
    }
    const { to, tls, timeout = PAIR_TIMEOUT } = mirror
    return {
      target: this.#target(to, tls, [...path, 'to']),
      tls: this.#tls(tls, [...path, 'tls']),
      compare: this.#planner.steps(mirror.compare, [...path, 'compare'], this.#place),
      key: this.#planner.resolve(mirror.key, [...path, 'key'], this.#place) as Expression | undefined,
      timeout,
    }
  }

  /** Bytes that are passed on are no messages, so what would be done with messages is a mistake. */
  #requireNoMessages(): void {
    const { inspect, mirror } = this.#relay
    const mayFail = inspect !== 'off' || mirror?.compare !== undefined
    const above = this.#path.slice(0, -1)
    for (const key of ['dataflow', 'onConnect', 'onDisconnect', 'onError', 'key'] as const) {
      if (this.#entry[key] === undefined || (key === 'onError' && mayFail)) continue
      const message = `${above.join('.')} has both relay and ${key}, and a relay passes bytes on`
      this.#reject(
        [...above, key],
        message,
        `take ${key} away, or look at the bytes with relay.inspect and relay.toServer`,
      )
    }
  }

  /** Reports an option that may not be there. */
  #reject(path: ConfigPath, message: string, hint: string): void {
    this.#report.add({ code: 'VALUE_INVALID', path, at: 'key', message, hint })
  }
}

const EVERYWHERE = '::'
const WILDCARDS: ReadonlySet<string> = new Set([EVERYWHERE, '0.0.0.0'])
const LOOPBACKS: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '::1', '0.0.0.0', '::'])

/** Milliseconds between two looks at whether a server is well, unless told otherwise. */
const CHECK_EVERY = 5000

/** Milliseconds that an answer waits for the other one, unless told otherwise. */
const PAIR_TIMEOUT = 10_000

/** Why nothing in a relay answers, and what to do instead. */
export function inRelay({ name }: StepDefinition): Unanswerable {
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

/** What `host:port`, `[ipv6]:port` or a path leads to. */
function targetOf(text: string, baseDir: string): Pick<DialOptions, 'host' | 'port' | 'path'> {
  if (text.includes('/')) return { path: resolve(baseDir, text) }
  const [, host, port] = /^\[?(.+?)\]?:(\d+)$/.exec(text)!
  return { host: host!, port: Number(port) }
}
