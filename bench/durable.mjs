// How many messages a second are safe on the disk and answered, and what a large backlog costs, with the targets that
// follow from this disk's own fdatasync.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { measurePeers } from './peers.mjs'
import { ALL_CPUS, residentBytes, runLoad, startServer, threadSeconds } from './processes.mjs'

const HERE = dirname(fileURLToPath(import.meta.url))
/** The load: connections, lines of each that are on their way, bytes of a line with its end. */
const LOAD = ['--conns', 64, '--pipeline', 16, '--size', 200]
const BACKLOG_BYTES = 1e9
const DRAIN_MS = 600_000

/**
 * @typedef {object} Row a line of the table
 * @property {string} measure
 * @property {string} value
 * @property {string} [target]
 * @property {boolean} [passed] undefined where there is no target
 */

/** @returns those that are measured on a disk; `run` gives rows */
export function createDiskBenchmarks({ quick, sluice, disk }) {
  return [
    { name: 'durable', run: (tools) => durable({ quick, sluice, disk, ...tools }) },
    { name: 'backlog', run: (tools) => backlog({ quick, sluice, disk, ...tools }) },
  ]
}

/** @returns {Promise<Row[]>} */
async function durable({ quick, sluice, disk, load, sync, data }) {
  const runs = []
  for (let i = 1; i <= (quick ? 1 : 3); i++) {
    process.stderr.write(`durable: run ${i}\n`)
    runs.push(await ask({ quick, sluice, disk, load, sync }))
  }
  const of = (key) => median(runs.map((run) => run[key]))
  const [syncMs, answers, p99] = [of('syncMs'), of('answers'), of('p99')]
  const target = (0.4 * 1024) / ((syncMs + 2) / 1000)
  const range = (key, digits) => runs.map((run) => run[key].toFixed(digits)).join(', ')
  const peers = await measurePeers({ quick, disk, load, data, sends: LOAD })
  const rsyslog = peers.find(({ perSecond, isRsyslog }) => isRsyslog && perSecond !== undefined)
  const facts = [
    { measure: 'fdatasync of 4 KiB, ms', value: `${syncMs.toFixed(2)} (${range('syncMs', 2)})` },
    judged('answers/s', answers.toFixed(0), range('answers', 0), answers >= target, `>= ${target.toFixed(0)}`),
    { measure: '  p50 then, ms', value: of('p50Full').toFixed(2) },
    { measure: '  main thread, storage thread, others: % of a core', value: runs[0].threads },
    judged(
      'p99 at half load, ms',
      p99.toFixed(2),
      range('p99', 2),
      p99 <= 2 * syncMs + 5,
      `<= ${(2 * syncMs + 5).toFixed(2)}`,
    ),
    { measure: '  p50 then, ms', value: of('p50').toFixed(2) },
    { measure: '  mean delay of the load itself then, ms', value: of('late').toFixed(2) },
  ]
  if (rsyslog !== undefined) {
    const ratio = answers / rsyslog.perSecond
    facts.push(judged('times the lines of rsyslog', ratio.toFixed(1), '', ratio >= 3, '>= 3'))
  }
  return [...facts, ...peers.map(({ measure, value }) => ({ measure, value }))]
}

/** One server from its start to its end: full load, then half of it, between two measurements of the disk. */
async function ask({ quick, sluice, disk, load, sync }) {
  fresh(disk)
  const before = fdatasync(sync, disk)
  const server = await startSluice(sluice, 'durable.yaml', { BENCH_DISK: disk })
  try {
    const secs = quick ? 5 : 10
    const send = async (...more) => {
      const [result] = await runLoad(load, server.port, ['ask', ...LOAD, '--warmup', 3, '--secs', secs, ...more])
      return result
    }
    const cpu = threadSeconds(server.pid)
    const began = performance.now()
    const full = await send()
    const threads = shares(cpu, threadSeconds(server.pid), (performance.now() - began) / 1000)
    const out = join(disk, 'out.txt')
    const behind = await grown(out, full.total * 200)
    const half = await send('--pace', Math.round(full.answers_s / 2))
    await grown(out, (full.total + half.total) * 200)
    return {
      syncMs: (before + fdatasync(sync, disk)) / 2,
      answers: full.answers_s,
      p50Full: full.p50_us / 1000,
      p50: half.p50_us / 1000,
      p99: half.p99_us / 1000,
      late: half.late_us / 1000,
      behind,
      threads,
    }
  } finally {
    await server.stop()
    fresh(disk)
  }
}

/** @returns {Promise<Row[]>} */
async function backlog({ quick, sluice, disk, load, data }) {
  fresh(disk)
  const destination = createServer()
  destination.listen(0, '127.0.0.1')
  await once(destination, 'listening')
  const { port } = destination.address()
  destination.close()
  await once(destination, 'close')
  const env = { BENCH_DISK: disk, BENCH_TO: String(port) }
  process.stderr.write('backlog: filling\n')
  const filling = await startSluice(sluice, 'backlog.yaml', env)
  const records = Math.ceil((quick ? BACKLOG_BYTES / 10 : BACKLOG_BYTES) / 175)
  const args = ['ingest', '--data', data, '--conns', 64, '--chunk', 4096, '--records', records, '--drain', 300]
  const [{ bytes, drained_s: filled }] = await runLoad(load, filling.port, args)
  await filling.stop()
  const file = join(disk, 'data/buffers.db')
  // A machine that has just started has nothing of it in memory.
  spawnSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0'])
  process.stderr.write('backlog: draining\n')
  let received = 0
  let first
  destination.on('connection', (socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      first ??= performance.now()
      received += chunk.length
    })
  })
  destination.listen(port, '127.0.0.1')
  await once(destination, 'listening')
  const began = performance.now()
  const server = await startSluice(sluice, 'backlog.yaml', env)
  const memory = []
  try {
    for (const deadline = began + DRAIN_MS; received < bytes; await sleep(100)) {
      if (first !== undefined) memory.push(residentBytes(server.pid) / 1e6)
      if (performance.now() > deadline) throw new Error(`only ${received} of ${bytes} bytes were delivered`)
    }
    const spent = (performance.now() - first) / 1000
    const half = memory.length >> 1
    const [early, late] = [Math.max(...memory.slice(0, half)), Math.max(...memory.slice(half))]
    return [
      { measure: 'backlog, MB of lines; seconds to fill', value: `${(bytes / 1e6).toFixed(0)}; ${filled.toFixed(0)}` },
      { measure: '  the file, MB', value: (statSync(file).size / 1e6).toFixed(0) },
      judged(
        'first delivery after the start, s',
        ((first - began) / 1000).toFixed(2),
        '',
        first - began <= 2000,
        '<= 2',
      ),
      { measure: 'delivered, MB/s', value: (bytes / 1e6 / spent).toFixed(1) },
      judged(
        'memory in the second half, MB',
        late.toFixed(0),
        `first half ${early.toFixed(0)}`,
        late <= early * 1.1,
        `<= ${(early * 1.1).toFixed(0)}`,
      ),
    ]
  } finally {
    await server.stop()
    destination.close()
    fresh(disk)
  }
}

function startSluice(sluice, config, env) {
  return startServer([process.execPath, sluice, 'run', join(HERE, config)], env, { cores: ALL_CPUS })
}

/** @returns median in milliseconds */
function fdatasync(program, disk) {
  const { status, stdout, stderr } = spawnSync(program, [join(disk, 'sync.bin'), '2'], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`fdatasync failed: ${stderr}`)
  return JSON.parse(stdout).median
}

function fresh(disk) {
  rmSync(disk, { recursive: true, force: true })
  mkdirSync(disk, { recursive: true })
}

/** Waits until everything answered has been delivered. @returns how long that took, in seconds */
async function grown(file, size) {
  const began = performance.now()
  for (; statSync(file).size < size; await sleep(20))
    if (performance.now() > began + DRAIN_MS) throw new Error(`${file} has ${statSync(file).size} of ${size} bytes`)
  return (performance.now() - began) / 1000
}

/** The busiest threads of a time. The first of a process is the main thread; ours for SQLite is the busiest other one. */
function shares(before, after, seconds) {
  const spent = after.map(({ id, isMain, cpu }) => ({
    isMain,
    share: (cpu - (before.find((one) => one.id === id)?.cpu ?? 0)) / seconds,
  }))
  const main = spent.find(({ isMain }) => isMain).share
  const others = spent.filter(({ isMain }) => !isMain).map(({ share }) => share)
  const storage = Math.max(...others)
  const rest = others.reduce((sum, share) => sum + share, 0) - storage
  return [main, storage, rest].map((share) => Math.round(share * 100)).join(', ')
}

function judged(measure, value, range, passed, target) {
  return { measure, value: range === '' ? value : `${value} (${range})`, target, passed }
}

function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1]
}
