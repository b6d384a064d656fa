import type { PartDefinition } from '../contracts/define.ts'
import { bytes } from '../formats/bytes.ts'
import { hex } from '../formats/hex.ts'
import { json } from '../formats/json.ts'
import { text } from '../formats/text.ts'
import { delimiter } from '../framings/delimiter.ts'
import { fixed } from '../framings/fixed.ts'
import { lengthPrefix } from '../framings/length-prefix.ts'
import { line } from '../framings/line.ts'
import { mllp } from '../framings/mllp.ts'
import { raw } from '../framings/raw.ts'
import { startEnd } from '../framings/start-end.ts'
import { amqp } from '../sinks/amqp.ts'
import { file } from '../sinks/file.ts'
import { http } from '../sinks/http.ts'
import { mqtt } from '../sinks/mqtt.ts'
import { nats } from '../sinks/nats.ts'
import { postgres } from '../sinks/postgres.ts'
import { redis } from '../sinks/redis.ts'
import { sqlite } from '../sinks/sqlite.ts'
import { stdout } from '../sinks/stdout.ts'
import { tcp } from '../sinks/tcp.ts'
import { close } from '../steps/close.ts'
import { dataflow } from '../steps/dataflow.ts'
import { deadLetter } from '../steps/dead-letter.ts'
import { dedupe } from '../steps/dedupe.ts'
import { filter } from '../steps/filter.ts'
import { fork } from '../steps/fork.ts'
import { log } from '../steps/log.ts'
import { map } from '../steps/map.ts'
import { reply } from '../steps/reply.ts'
import { route } from '../steps/route.ts'
import { script } from '../steps/script.ts'
import { send } from '../steps/send.ts'
import { set } from '../steps/set.ts'
import { mqtt as mqttSubscription } from '../subscriptions/mqtt.ts'
import { nats as natsSubscription } from '../subscriptions/nats.ts'
import { redis as redisSubscription } from '../subscriptions/redis.ts'
import { Registry } from './registry.ts'

/**
 * The one list of the parts that come with Sluice, in the order in which they are shown. The comment at the head of each
 * keeps the formatter from joining its lines, so that a part is added with one line.
 */
export const framings = [
  // One a line.
  line,
  delimiter,
  lengthPrefix,
  fixed,
  startEnd,
  mllp,
  raw,
] as const
export const formats = [
  // One a line.
  text,
  json,
  bytes,
  hex,
] as const
export const steps = [
  // One a line.
  dedupe,
  filter,
  map,
  set,
  route,
  fork,
  dataflow,
  script,
  reply,
  send,
  close,
  log,
  deadLetter,
] as const
export const sinks = [
  // One a line.
  stdout,
  file,
  sqlite,
  postgres,
  http,
  tcp,
  nats,
  redis,
  mqtt,
  amqp,
] as const

export const subscriptions = [
  // One a line.
  natsSubscription,
  mqttSubscription,
  redisSubscription,
] as const

/** A new registry with all parts that come with Sluice. */
export function createRegistry(): Registry {
  const all: readonly PartDefinition[] = [...framings, ...formats, ...steps, ...sinks, ...subscriptions]
  const registry = new Registry()
  for (const definition of all) registry.add(definition)
  return registry
}
