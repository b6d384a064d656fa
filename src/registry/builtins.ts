import type { PartDefinition } from '../contracts/define.ts'
import { base64 } from '../formats/base64.ts'
import { bytes } from '../formats/bytes.ts'
import { cbor } from '../formats/cbor.ts'
import { csv } from '../formats/csv.ts'
import { hex } from '../formats/hex.ts'
import { hl7 as hl7Format } from '../formats/hl7.ts'
import { json } from '../formats/json.ts'
import { kaitai } from '../formats/kaitai.ts'
import { keyValue } from '../formats/key-value.ts'
import { msgpack } from '../formats/msgpack.ts'
import { nmea as nmeaFormat } from '../formats/nmea.ts'
import { protobuf } from '../formats/protobuf.ts'
import { struct } from '../formats/struct.ts'
import { syslog as syslogFormat } from '../formats/syslog.ts'
import { text } from '../formats/text.ts'
import { xml } from '../formats/xml.ts'
import { cobs } from '../framings/cobs.ts'
import { delimiter } from '../framings/delimiter.ts'
import { fixed } from '../framings/fixed.ts'
import { gap } from '../framings/gap.ts'
import { hl7 } from '../framings/hl7.ts'
import { jsonStream } from '../framings/json-stream.ts'
import { lengthPrefix } from '../framings/length-prefix.ts'
import { line } from '../framings/line.ts'
import { mllp } from '../framings/mllp.ts'
import { modbusTcp } from '../framings/modbus-tcp.ts'
import { netstring } from '../framings/netstring.ts'
import { nmea } from '../framings/nmea.ts'
import { octetCounting } from '../framings/octet-counting.ts'
import { raw } from '../framings/raw.ts'
import { regex } from '../framings/regex.ts'
import { slip } from '../framings/slip.ts'
import { startEnd } from '../framings/start-end.ts'
import { stxEtx } from '../framings/stx-etx.ts'
import { syslog } from '../framings/syslog.ts'
import { untilClose } from '../framings/until-close.ts'
import { amqp } from '../sinks/amqp.ts'
import { file } from '../sinks/file.ts'
import { http } from '../sinks/http.ts'
import { mqtt } from '../sinks/mqtt.ts'
import { nats } from '../sinks/nats.ts'
import { nullSink } from '../sinks/null.ts'
import { postgres } from '../sinks/postgres.ts'
import { redis } from '../sinks/redis.ts'
import { sqlite } from '../sinks/sqlite.ts'
import { stdout } from '../sinks/stdout.ts'
import { tcp } from '../sinks/tcp.ts'
import { ack } from '../steps/ack.ts'
import { checksum } from '../steps/checksum.ts'
import { close } from '../steps/close.ts'
import { dataflow } from '../steps/dataflow.ts'
import { deadLetter } from '../steps/dead-letter.ts'
import { dedupe } from '../steps/dedupe.ts'
import { delay } from '../steps/delay.ts'
import { each } from '../steps/each.ts'
import { expect } from '../steps/expect.ts'
import { filter } from '../steps/filter.ts'
import { fork } from '../steps/fork.ts'
import { group } from '../steps/group.ts'
import { log } from '../steps/log.ts'
import { lookup } from '../steps/lookup.ts'
import { map } from '../steps/map.ts'
import { parse } from '../steps/parse.ts'
import { query } from '../steps/query.ts'
import { rename } from '../steps/rename.ts'
import { repeat } from '../steps/repeat.ts'
import { reply } from '../steps/reply.ts'
import { request } from '../steps/request.ts'
import { route } from '../steps/route.ts'
import { script } from '../steps/script.ts'
import { send } from '../steps/send.ts'
import { set } from '../steps/set.ts'
import { throttle } from '../steps/throttle.ts'
import { unset } from '../steps/unset.ts'
import { validate } from '../steps/validate.ts'
import { window } from '../steps/window.ts'
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
  regex,
  startEnd,
  lengthPrefix,
  fixed,
  gap,
  untilClose,
  raw,
  jsonStream,
  netstring,
  octetCounting,
  slip,
  cobs,
  stxEtx,
  mllp,
  hl7,
  syslog,
  nmea,
  modbusTcp,
] as const
export const formats = [
  // One a line.
  text,
  json,
  csv,
  keyValue,
  xml,
  bytes,
  hex,
  base64,
  msgpack,
  cbor,
  protobuf,
  struct,
  kaitai,
  hl7Format,
  syslogFormat,
  nmeaFormat,
] as const
export const steps = [
  // One a line.
  dedupe,
  filter,
  validate,
  map,
  parse,
  lookup,
  query,
  rename,
  unset,
  set,
  checksum,
  route,
  fork,
  each,
  repeat,
  dataflow,
  script,
  throttle,
  delay,
  window,
  group,
  reply,
  ack,
  expect,
  request,
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
  nullSink,
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
