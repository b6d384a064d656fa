import { createHash } from 'node:crypto'
import { hostname } from 'node:os'
import type * as Mqtt from 'mqtt'
import type { PartContext } from '../contracts/context.ts'
import { duration, host, secret, z } from '../contracts/schema.ts'
import { readBrokerUrl, showAddress } from './broker-url.ts'
import { readTls, tlsOption } from './client-tls.ts'
import type { MqttTarget } from './mqtt-connect.ts'

/** The options with which a part says how it connects to an MQTT broker. */
export const mqttConnection = {
  url: secret()
    .optional()
    .describe('Address of the broker, such as mqtt://broker:1883 or mqtts://user:password@broker; or use host.'),
  host: host().optional().describe('Name or address of the broker, instead of url.'),
  port: z
    .int()
    .min(1)
    .max(65_535)
    .optional()
    .describe('Port of the broker. Default: 1883, and 8883 with protocol: mqtts.'),
  protocol: z
    .enum(['mqtt', 'mqtts'])
    .optional()
    .describe('`mqtt` for TCP, `mqtts` for TLS. Default: mqtts where there is `tls`, else mqtt.'),
  clientId: z
    .string()
    .min(1)
    .max(65_535)
    .optional()
    .describe(
      'How the broker knows us; no two clients may have the same. Default: made from the place of the step and the name of the machine, and always the same.',
    ),
  username: z.string().optional().describe('Name to log in with. Default: that of url, if any.'),
  password: secret().optional().describe('Password to log in with. Default: that of url, if any.'),
  tls: tlsOption,
  version: z.literal([5, 4]).default(5).describe('Of the protocol: 5, or 4 for MQTT 3.1.1. Default: 5.'),
  keepAlive: duration()
    .prefault('30s')
    .describe('Silence after which we ask the broker for a sign of life, in whole seconds. Default: 30s.'),
  timeout: duration()
    .prefault('10s')
    .describe('How long the broker may take to accept a connection, and to acknowledge messages. Default: 10s.'),
}

const shape = z.strictObject(mqttConnection)

type MqttConnectionOptions = z.output<typeof shape>

/**
 * How to connect, from the options.
 * @param clientId what is taken where the options name none
 * @throws SluiceError `package_missing`
 */
export async function readMqttTarget(
  given: MqttConnectionOptions,
  context: PartContext,
  clientId: string,
): Promise<MqttTarget> {
  const { connect } = (await context.importPackage('mqtt')) as typeof Mqtt
  const url = readBrokerUrl(given.url, PROTOCOLS)
  const host = given.host ?? url!.host
  const username = given.username ?? url?.username
  const password = given.password ?? url?.password
  const isSecure = (given.protocol ?? url?.protocol ?? (given.tls ? 'mqtts' : 'mqtt')) === 'mqtts'
  const protocol = isSecure ? 'mqtts' : 'mqtt'
  const port = given.port ?? url?.port ?? (isSecure ? 8883 : 1883)
  const { version, keepAlive, timeout } = given
  return {
    connect,
    options: {
      protocol,
      host,
      port,
      protocolVersion: version,
      keepalive: toSeconds(keepAlive),
      clientId: given.clientId ?? clientId,
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
      ...readTls(given.tls, context.resolvePath),
    },
    address: showAddress(protocol, host, port),
    timeout,
    signal: context.signal,
    warn: (text) => context.log('warn', text),
  }
}

/** Every broker takes an ID of at most 23 letters and digits (MQTT 5.0, section 3.1.3.1). */
export function defaultClientId(step: string): string {
  return `sluice${createHash('sha256').update(`${hostname()} ${step}`).digest('hex').slice(0, 16)}`
}

/** A duration as MQTT has it: whole seconds, at least one. */
export function toSeconds(milliseconds: number): number {
  return Math.max(1, Math.round(milliseconds / 1000))
}

/** Reports an address that is given twice, half or not at all. */
export function requireOneAddress(
  given: Readonly<Partial<Record<string, unknown>>>,
  context: z.core.$RefinementCtx,
): void {
  const report = (message: string, key?: string) =>
    context.addIssue({ code: 'custom', message, ...(key !== undefined && { path: [key] }) })
  const { url, host, tls, username, password } = given
  if (url === undefined && host === undefined) report('url or host is missing')
  if (url !== undefined) {
    for (const key of ['host', 'port', 'protocol'] as const) {
      if (given[key] !== undefined) report(`give url or ${key}, and not both`, key)
    }
    if (tls && String(url).startsWith('mqtt:')) report('write mqtts:// for TLS', 'url')
    if (readBrokerUrl(url, PROTOCOLS) === undefined)
      report('expected an address such as mqtt://host:1883 or mqtts://host', 'url')
  }
  if (password !== undefined && username === undefined && url === undefined) report('username is missing', 'username')
}

const PROTOCOLS = ['mqtt', 'mqtts']
