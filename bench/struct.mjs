// Reads 64-byte records with the format struct and with DataView code written by hand, in one process, and prints
// nanoseconds of CPU time for a record as JSON; with `--print` it prints them. `--others N` first uses N other structs, as a
// server with many has them.
import { deepStrictEqual } from 'node:assert/strict'
import { parseArgs } from 'node:util'
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

function printByHand(row) {
  const printed = Buffer.allocUnsafe(SIZE)
  const view = new DataView(printed.buffer, printed.byteOffset, SIZE)
  view.setUint16(0, row.header)
  view.setUint8(2, row.version)
  view.setUint8(3, row.kind)
  view.setUint32(4, row.device)
  view.setUint32(8, row.time)
  view.setUint16(12, row.sequence)
  view.setUint16(14, row.status)
  view.setInt16(16, row.t1)
  view.setInt16(18, row.t2)
  view.setInt16(20, row.t3)
  view.setInt16(22, row.t4)
  view.setInt32(24, row.latitude)
  view.setInt32(28, row.longitude)
  view.setUint16(32, row.speed)
  view.setUint16(34, row.course)
  view.setFloat32(36, row.voltage)
  view.setFloat32(40, row.current)
  view.setFloat64(44, row.energy)
  view.setUint32(52, row.count)
  view.setUint8(56, row.inputs)
  view.setUint8(57, row.outputs)
  view.setUint16(58, row.alarms)
  view.setUint32(60, row.mileage)
  return printed
}

const { values: options } = parseArgs({
  options: { others: { type: 'string', default: '0' }, print: { type: 'boolean', default: false } },
})
const bytes = Buffer.from(Array.from({ length: SIZE * RECORDS }, (_, i) => ((i * 7919) >> 3) & 255))
const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
/** What was read or printed last, so that it cannot be left out. */
let last

for (let i = 0; i < Number(options.others); i++) {
  const other = createFormat(fields.map(({ name, type }) => ({ name: `${name}${i}`, type })).reverse())
  time(1000, jobOf(other))
}
const format = createFormat(fields)
const ours = jobOf(format)
const theirs = jobByHand()
for (let i = 0; i < RECORDS; i++) deepStrictEqual(ours(i), theirs(i))
time(1000, ours)
time(1000, theirs)
const pairs = Array.from({ length: 7 }, () => ({ ours: time(3000, ours), theirs: time(3000, theirs) }))
process.stdout.write(`${JSON.stringify(pairs)}\n`)

function createFormat(given) {
  return struct.create(struct.options.parse({ fields: given }))
}

/** What is measured: it reads or prints record `i`. */
function jobOf(format) {
  if (!options.print) return (i) => format.parse(bytes, i * SIZE, i * SIZE + SIZE)
  const rows = rowsOf(format)
  return (i) => format.print(rows[i])
}

function jobByHand() {
  if (!options.print) return (i) => byHand(view, i * SIZE)
  const rows = rowsOf(format)
  return (i) => printByHand(rows[i])
}

/** Only to print them: V8 puts rows into the old memory at once when it has seen many that were kept, and that takes longer. */
function rowsOf(format) {
  return Array.from({ length: RECORDS }, (_, i) => format.parse(bytes, i * SIZE, i * SIZE + SIZE))
}

/** @returns nanoseconds of CPU time for a record, collecting garbage included */
function time(rounds, job) {
  const before = process.cpuUsage()
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < RECORDS; i++) last = job(i)
  }
  const { user, system } = process.cpuUsage(before)
  if (last === undefined) throw new Error('nothing was done')
  return ((user + system) * 1000) / (rounds * RECORDS)
}
