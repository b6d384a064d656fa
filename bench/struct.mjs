// Reads 64-byte records with the format struct and with DataView code written by hand, in one process, and prints
// nanoseconds of CPU time for a record as JSON. `--others N` first uses N other structs, as a server with many has them.
import { deepStrictEqual } from 'node:assert/strict'
import { struct } from '../dist/formats/struct.js'

const SIZE = 64
const RECORDS = 1000
const fields = [
  { name: 'header', type: 'u16' },
  { name: 'version', type: 'u8' },
  { name: 'kind', type: 'u8' },
  { name: 'device', type: 'u32' },
  { name: 'time', type: 'u32' },
  { name: 'sequence', type: 'u16' },
  { name: 'status', type: 'u16' },
  { name: 't1', type: 'i16' },
  { name: 't2', type: 'i16' },
  { name: 't3', type: 'i16' },
  { name: 't4', type: 'i16' },
  { name: 'latitude', type: 'i32' },
  { name: 'longitude', type: 'i32' },
  { name: 'speed', type: 'u16' },
  { name: 'course', type: 'u16' },
  { name: 'voltage', type: 'f32' },
  { name: 'current', type: 'f32' },
  { name: 'energy', type: 'f64' },
  { name: 'count', type: 'u32' },
  { name: 'inputs', type: 'u8' },
  { name: 'outputs', type: 'u8' },
  { name: 'alarms', type: 'u16' },
  { name: 'mileage', type: 'u32' },
]

function byHand(view, at) {
  return {
    header: view.getUint16(at),
    version: view.getUint8(at + 2),
    kind: view.getUint8(at + 3),
    device: view.getUint32(at + 4),
    time: view.getUint32(at + 8),
    sequence: view.getUint16(at + 12),
    status: view.getUint16(at + 14),
    t1: view.getInt16(at + 16),
    t2: view.getInt16(at + 18),
    t3: view.getInt16(at + 20),
    t4: view.getInt16(at + 22),
    latitude: view.getInt32(at + 24),
    longitude: view.getInt32(at + 28),
    speed: view.getUint16(at + 32),
    course: view.getUint16(at + 34),
    voltage: view.getFloat32(at + 36),
    current: view.getFloat32(at + 40),
    energy: view.getFloat64(at + 44),
    count: view.getUint32(at + 52),
    inputs: view.getUint8(at + 56),
    outputs: view.getUint8(at + 57),
    alarms: view.getUint16(at + 58),
    mileage: view.getUint32(at + 60),
  }
}

const bytes = Buffer.from(Array.from({ length: SIZE * RECORDS }, (_, i) => ((i * 7919) >> 3) & 255))
const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
/** What was read last, so that reading cannot be left out. */
let last

const others = Number(process.argv[process.argv.indexOf('--others') + 1] ?? 0) || 0
for (let i = 0; i < others; i++) {
  const other = createFormat(fields.map(({ name, type }) => ({ name: `${name}${i}`, type })).reverse())
  time(1000, (at) => other.parse(bytes, at, at + SIZE))
}
const format = createFormat(fields)
const ours = (at) => format.parse(bytes, at, at + SIZE)
const theirs = (at) => byHand(view, at)
for (let at = 0; at < bytes.length; at += SIZE) deepStrictEqual(ours(at), theirs(at))
time(1000, ours)
time(1000, theirs)
const pairs = Array.from({ length: 7 }, () => ({ ours: time(3000, ours), theirs: time(3000, theirs) }))
process.stdout.write(`${JSON.stringify(pairs)}\n`)

function createFormat(given) {
  return struct.create(struct.options.parse({ fields: given }))
}

/** @returns nanoseconds of CPU time for a record, collecting garbage included */
function time(rounds, read) {
  const before = process.cpuUsage()
  for (let round = 0; round < rounds; round++) {
    for (let at = 0; at < bytes.length; at += SIZE) last = read(at)
  }
  const { user, system } = process.cpuUsage(before)
  if (last === undefined) throw new Error('nothing was read')
  return ((user + system) * 1000) / (rounds * RECORDS)
}
