import { resolve } from 'node:path'
import { formatAddress } from '../contracts/client.ts'
import type { Expression } from '../contracts/schema.ts'
import { guarantees } from '../contracts/subscription.ts'
import type { ListenOptions } from '../contracts/transport.ts'
import { formatIpRange } from '../transports/ip-range.ts'
import { formatDuration } from '../util/units.ts'
import type {
  DirectionWords,
  EndpointPlan,
  ListenPlan,
  MirrorPlan,
  Plan,
  RelayPlan,
  SchedulePlan,
  SocketPlan,
  SubscribePlan,
} from './planned.ts'
import {
  ASIDE,
  failureLines,
  flatten,
  indent,
  isAnswer,
  MAIN,
  pathLines,
  stepsLines,
  userCodeLines,
} from './promise-steps.ts'

/**
 * What a configuration promises to those who connect, in words: for each endpoint where it listens or dials, what
 * becomes of a message, what an answer means, and what happens on failure. All of it follows from the order of the steps
 * and from what their definitions say.
 * @returns lines without line ends; those of one endpoint are indented below its first, and what holds for all stands last
 */
export function describePlan(plan: Plan): string[] {
  const { endpoints } = plan
  const keyed = endpoints.some((endpoint) => endpoint.key !== undefined || isIdentified(endpoint))
  const all = keyed ? COMMON : [...COMMON, repeatLine(undefined)]
  const common = endpoints.length > 1 ? ['each of them:', ...indent(all)] : indent(all)
  const described = endpoints.flatMap((endpoint) => [
    ...describeEndpoint(endpoint),
    ...(keyed ? indent([repeatLine(endpoint)]) : []),
  ])
  const lines = [...described, ...common, ...describeServer(plan)]
  return lines.map((line) => {
    let shown = line
    for (const secret of plan.secrets) shown = shown.replaceAll(secret, '…')
    return shown
  })
}

/** What holds for every endpoint. */
const COMMON = [
  'messages of a connection are worked on in the order received, one run at a time, and answered in that order',
]

function repeatLine(endpoint: EndpointPlan | undefined): string {
  if (endpoint === undefined || (endpoint.key === undefined && !isIdentified(endpoint))) {
    return 'a message that is sent again is a new message'
  }
  if (endpoint.key === undefined) return 'a message that is given again has the same key (what the broker knows it by)'
  return `a message that is sent again has the same key (${shownKey(endpoint.key)})`
}

/** The broker gives each message a name of its own. */
function isIdentified(endpoint: EndpointPlan): boolean {
  return endpoint.kind === 'subscribe' && endpoint.definition.identifies?.(endpoint.options) === true
}

/** The key as it is written; where it is a function of the user, that there is one. */
function shownKey({ source, isFunction }: Expression): string {
  return isFunction === true ? 'what your function gives' : source
}

function describeServer({ admin, data, baseDir, workers }: Plan): string[] {
  return [
    ...(workers === 1 ? [] : workersLines(workers)),
    `dead letters are kept in ${resolve(baseDir, data.dir)}`,
    ...(admin === undefined ? [] : [`health and metrics are served on ${showAddress(admin)}`]),
  ]
}

function workersLines(workers: number): string[] {
  return [
    `${workers} workers share the connections: when one dies, its connections are lost and the others go on`,
    'a client that connects again may come to another worker: the order of its messages holds within a connection only',
  ]
}

function describeEndpoint(endpoint: EndpointPlan): string[] {
  if (endpoint.kind === 'schedule') return describeSchedule(endpoint)
  return endpoint.kind === 'subscribe' ? describeSubscription(endpoint) : describeSocket(endpoint)
}

function describeSubscription(endpoint: SubscribePlan): string[] {
  const { name, definition, options, dataflow = [], onError } = endpoint
  const guarantee = definition.guarantees(options)
  return [
    `${name}: subscribes to ${definition.inWords(options)}, again when the connection is lost`,
    ...indent([
      `format ${bothWays(endpoint.formatWords)}`,
      `each message goes through ${guarantee}: ${guarantees[guarantee]}; ${definition.acknowledges(options)}`,
      ...stepsLines(dataflow, MAIN),
      ...failureLines(onError),
      ...userCodeLines([...dataflow, ...(onError ?? [])]),
    ]),
  ]
}

function describeSchedule({ name, timing, dataflow = [], onError }: SchedulePlan): string[] {
  const { when, runAtStart } = timing
  const times = 'every' in when ? `every ${formatDuration(when.every)}` : `at ${when.at.map(timeOfDay).join(', ')}`
  const zone = 'every' in when ? '' : ` (${when.timezone})`
  return [
    `${name}: runs ${times}${zone}${runAtStart ? ', and at the start' : ''}, with event == "timer" and msg == null`,
    ...indent([
      'a run is skipped while the last one has not ended; one that is missed while the server is off is not made up for',
      ...stepsLines(dataflow, MAIN),
      ...failureLines(onError),
      ...userCodeLines([...dataflow, ...(onError ?? [])]),
    ]),
  ]
}

/** @param time milliseconds since midnight */
function timeOfDay(time: number): string {
  return new Date(time).toISOString().slice(11, 19).replace(/:00$/, '')
}

function describeSocket(endpoint: SocketPlan): string[] {
  const { dataflow = [], onConnect = [], onDisconnect = [], onError, runOnConnect } = endpoint
  const all = [...dataflow, ...onConnect, ...onDisconnect, ...(onError ?? [])]
  if (endpoint.kind === 'listen' && endpoint.relay !== undefined) {
    return [`${endpoint.name}: ${whereTo(endpoint)}`, ...indent(relayLines(endpoint, endpoint.relay))]
  }
  return [
    `${endpoint.name}: ${whereTo(endpoint)}`,
    ...indent([
      `framing ${bothWays(endpoint.framingWords)}, format ${bothWays(endpoint.formatWords)}`,
      ...pathLines('when a client connects, before its first message', onConnect, ASIDE),
      ...(runOnConnect ? ['the dataflow also runs once when a client connects, with event == "connect"'] : []),
      ...stepsLines(dataflow, MAIN),
      ...(flatten(all).some(isAnswer) ? [] : ['sends nothing back']),
      ...failureLines(onError),
      ...pathLines('when a client is gone', onDisconnect, ASIDE),
      ...userCodeLines(all),
    ]),
  ]
}

const INSPECTED = {
  copy: 'a copy of the bytes goes through dataflows; where they cannot keep up, the copy ends and not the traffic',
  inline: 'but where there is a dataflow, only what it lets through is passed on',
}

function relayLines(endpoint: SocketPlan, relay: RelayPlan): string[] {
  const { targets, balance, health, tls, sendProxy, inspect, toServer, toClient, mirror } = relay
  const compares = mirror?.compare !== undefined
  const servers = targets.map(({ dial }) => showAddress(dial))
  const chosen = balance === 'roundRobin' ? 'each in turn' : 'the one with the fewest clients'
  const which = servers.length === 1 ? '' : `, ${chosen}; one that cannot be reached is left out for a while`
  return [
    `connects each client to ${servers.join(' or ')}${tls === undefined ? '' : ' with TLS'}${which}`,
    ...(health.every === 0 ? [] : [`sees every ${formatDuration(health.every)} whether each takes a connection`]),
    ...(sendProxy === undefined ? [] : [`tells it who the client is (PROXY protocol ${sendProxy})`]),
    'passes the bytes of both sides on as they are, as fast as the slower one reads',
    ...(inspect === 'off' ? [] : [INSPECTED[inspect]]),
    ...(inspect === 'off' && !compares
      ? []
      : [`framing ${bothWays(endpoint.framingWords)}, format ${bothWays(endpoint.formatWords)}`]),
    ...pathLines('for each message to the server', toServer ?? [], ASIDE),
    ...pathLines('for each message to the client', toClient ?? [], ASIDE),
    ...(mirror === undefined ? [] : mirrorLines(mirror)),
    ...(inspect === 'off' && !compares ? [] : failureLines(endpoint.onError)),
    'a client is closed when no server can be reached',
  ]
}

function mirrorLines({ target, tls, compare, key, timeout }: MirrorPlan): string[] {
  const which = key === undefined ? 'in order' : `by ${shownKey(key)}`
  const unmatched = `without the other one after ${formatDuration(timeout)}`
  return [
    `sends a copy of what clients send to ${showAddress(target.dial)}${tls === undefined ? '' : ' with TLS'}, whose answers reach no client`,
    'where that server is too slow or away, its copy ends and not the traffic',
    ...pathLines(`for each two answers that belong together (${which}; ${unmatched})`, compare ?? [], ASIDE),
  ]
}

function whereTo(endpoint: SocketPlan): string {
  const tls = endpoint.tls === undefined ? '' : ', with TLS'
  if (endpoint.kind === 'listen') {
    return `listens on ${endpoint.addresses.map(showAddress).join(' and ')}${headers(endpoint)}${tls}`
  }
  const { devices, hostsFile, poll } = endpoint
  const asks = poll === undefined ? '' : `, asks every ${formatDuration(poll.every)}`
  const where =
    devices[0]?.id === undefined && devices[0] !== undefined
      ? showAddress(devices[0].dial)
      : `${devices.length} ${devices.length === 1 ? 'device' : 'devices'}${hostsFile === undefined ? '' : ` of ${hostsFile}`}`
  return `connects to ${where}${tls}, again when the connection is lost${asks}`
}

/** Whose PROXY headers are believed. */
function headers({ proxyProtocol }: ListenPlan): string {
  if (proxyProtocol === undefined) return ''
  const { trust } = proxyProtocol
  if (trust === undefined) return ', with PROXY headers'
  return `, with PROXY headers from ${trust.length === 0 ? 'nobody' : trust.map(formatIpRange).join(' and ')}`
}

function showAddress({ host, port = 0, path }: Pick<ListenOptions, 'host' | 'port' | 'path'>): string {
  if (path !== undefined) return path
  const shown = port === 0 ? 'a free port' : `port ${port}`
  if (host === undefined) return `${shown} of all addresses`
  return port === 0 ? `${shown} of ${host}` : formatAddress({ ip: host, port })
}

function bothWays({ in: incoming, out }: DirectionWords): string {
  return incoming === out ? incoming : `${incoming} (out: ${out})`
}
