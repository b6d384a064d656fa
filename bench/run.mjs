// Compares Sluice with small servers written by hand on node:net, on this machine, and prints one table.
// Usage: npm run bench -- [--quick] [--only lines,client] [--pairs 5] [--sluice FILE] [--disk DIR] [--profile]. See README.md.
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createBenchmarks } from './benchmarks.mjs'
import { createClientBenchmarks } from './client.mjs'
import { createDiskBenchmarks } from './durable.mjs'
import { makeData } from './make-data.mjs'
import { hasProgram, LOAD_CPU, machineSeconds, ownCpuSeconds, startServer } from './processes.mjs'

const HERE = dirname(fileURLToPath(import.meta.url))
const WORK = join(HERE, '.work')
/** In memory, so that no disk is measured. */
const OUT = `/dev/shm/sluice-bench-${process.pid}`

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    pairs: { type: 'string' },
    sluice: { type: 'string', default: join(HERE, '../bin/sluice.js') },
    disk: { type: 'string', default: join(WORK, 'disk') },
    profile: { type: 'boolean', default: false },
  },
})

try {
  await main()
} catch (error) {
  process.stderr.write(`bench: ${error.message}\n`)
  process.exitCode = 1
} finally {
  rmSync(OUT, { force: true })
}

async function main() {
  requireMachine()
  const compared = createBenchmarks(options)
  const onDisk = createDiskBenchmarks(options)
  const clients = createClientBenchmarks(options)
  const inProcess = [
    { name: 'struct read', args: [] },
    { name: 'struct read beside 4 others', args: ['--others', '4'] },
    { name: 'struct print', args: ['--print'] },
    { name: 'struct print beside 4 others', args: ['--print', '--others', '4'] },
  ]
  const chosen = choose([...compared, ...inProcess, ...onDisk, ...clients])
  const pairs = Number(options.pairs ?? (options.quick ? 3 : 5))
  if (!(pairs > 0)) throw new Error('--pairs takes a number')
  mkdirSync(WORK, { recursive: true })
  const programs = { load: compile('tcpload'), lineSum: compile('linesum'), sync: compile('fdatasync') }
  const tools = { ...programs, ...makeData(WORK), out: OUT }
  const rows = []
  for (const benchmark of compared.filter((one) => chosen.includes(one)))
    rows.push(await runPairs(benchmark, pairs, tools))
  if (rows.length > 0) printPairs(rows, pairs)
  const structs = inProcess.filter((one) => chosen.includes(one))
  if (structs.length > 0) printTable(structs.map(runStruct))
  for (const benchmark of onDisk.filter((one) => chosen.includes(one)))
    printDisk(benchmark.name, await benchmark.run(tools))
  for (const benchmark of clients.filter((one) => chosen.includes(one))) {
    const rows = await benchmark.run()
    process.stdout.write(`\n${benchmark.name}\n`)
    printTable(rows)
  }
}

/** Ours, baseline, ours, baseline …: what else the machine does then hits both alike. */
async function runPairs(benchmark, pairs, tools) {
  const ours = [options.sluice, 'run', join(HERE, benchmark.config)]
  const baseline = [join(HERE, benchmark.baseline)]
  const { peer } = benchmark
  const measured = []
  const started = { at: performance.now(), machine: machineSeconds(), ours: ownCpuSeconds() }
  for (let i = 1; i <= pairs; i++) {
    process.stderr.write(`${benchmark.name}: pair ${i} of ${pairs}\n`)
    measured.push({
      ours: await runOnce(benchmark, [process.execPath, ...profile(benchmark), ...ours], tools),
      baseline: await runOnce(benchmark, [process.execPath, ...profile(benchmark), ...baseline], tools),
      peer: peer && hasProgram(peer[0]) ? await runOnce(benchmark, peer, tools) : undefined,
    })
  }
  const compare =
    benchmark.compare === 'ratio' ? (pair) => pair.baseline / pair.ours : (pair) => pair.ours - pair.baseline
  const results = measured.map(compare)
  const result = median(results)
  const foreign = machineSeconds() - started.machine - (ownCpuSeconds() - started.ours)
  return {
    benchmark,
    ours: median(measured.map((pair) => pair.ours)),
    baseline: median(measured.map((pair) => pair.baseline)),
    peer: measured[0].peer === undefined ? undefined : median(measured.map((pair) => pair.peer)),
    result,
    range: [Math.min(...results), Math.max(...results)],
    passed: benchmark.compare === 'ratio' ? result >= benchmark.target : result <= benchmark.target,
    foreign: foreign / ((performance.now() - started.at) / 1000),
  }
}

/** One server from its start to its end. */
async function runOnce(benchmark, command, tools) {
  rmSync(OUT, { force: true })
  const { files, upstream } = benchmark
  const behind =
    upstream && (await startServer([process.execPath, join(HERE, upstream)], {}, { files, cores: LOAD_CPU }))
  try {
    const env = { BENCH_OUT: OUT, ...(behind && { BENCH_UPSTREAM: String(behind.port) }) }
    const server = await startServer(command, env, { files })
    try {
      return await benchmark.measure(server, tools)
    } finally {
      await server.stop()
    }
  } finally {
    await behind?.stop()
  }
}

function profile({ name }) {
  return options.profile ? ['--cpu-prof', `--cpu-prof-dir=${join(WORK, 'profiles', name)}`] : []
}

/** One process that reads or prints records in both ways, in turns. */
function runStruct({ name, args }) {
  const program = join(HERE, 'struct.mjs')
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`struct failed:\n${stderr}`)
  const pairs = JSON.parse(stdout)
  const ratios = pairs.map(({ ours, theirs }) => theirs / ours)
  const target = 0.5
  return {
    benchmark: name,
    unit: 'CPU ns per record',
    sluice: median(pairs.map(({ ours }) => ours)).toFixed(0),
    'by hand': median(pairs.map(({ theirs }) => theirs)).toFixed(0),
    median: median(ratios).toFixed(2),
    range: [Math.min(...ratios), Math.max(...ratios)].map((value) => value.toFixed(2)).join(' … '),
    target: `>= ${target}`,
    '': median(ratios) >= target ? 'pass' : 'FAIL',
  }
}

function requireMachine() {
  if (process.platform !== 'linux') throw new Error('CPU time and memory are read from /proc: this needs Linux.')
  if (availableParallelism() < 2) throw new Error('two cores are needed, one for the server and one for the load.')
  if (!hasProgram('gcc')) throw new Error('gcc is needed: the load generator, bench/tcpload.c, is written in C.')
  if (!hasProgram('taskset')) throw new Error('taskset is needed (package util-linux).')
}

function choose(benchmarks) {
  if (options.only === undefined) return benchmarks
  const names = options.only.split(',')
  const chosen = benchmarks.filter(({ name }) => names.includes(name) || names.includes(name.split(' ')[0]))
  if (chosen.length > 0) return chosen
  throw new Error(`there is no ${options.only}; there are ${benchmarks.map(({ name }) => name).join(', ')}`)
}

/** @returns the path of the program */
function compile(name) {
  const program = join(WORK, name)
  const { status, stderr } = spawnSync('gcc', ['-O2', '-Wall', '-Wextra', '-o', program, join(HERE, `${name}.c`)])
  if (status !== 0) throw new Error(`gcc failed:\n${stderr}`)
  return program
}

function printPairs(rows, pairs) {
  const peers = new Set(rows.flatMap(({ peer, benchmark }) => (peer === undefined ? [] : benchmark.peer[0])))
  const cells = rows.map(({ benchmark, ours, baseline, peer, result, range, passed }) => {
    const isPeer = (name) => peer !== undefined && benchmark.peer[0] === name
    const ratio = benchmark.compare === 'ratio'
    return {
      benchmark: benchmark.name,
      unit: benchmark.unit,
      sluice: ours.toFixed(2),
      'node:net': baseline.toFixed(2),
      ...Object.fromEntries(Array.from(peers, (name) => [name, isPeer(name) ? peer.toFixed(2) : ''])),
      'compared as': ratio ? 'node:net / sluice' : 'sluice - node:net',
      median: result.toFixed(2),
      range: range.map((value) => value.toFixed(2)).join(' … '),
      target: `${ratio ? '>=' : '<='} ${benchmark.target}`,
      '': passed ? 'pass' : 'FAIL',
    }
  })
  printTable(cells)
  const foreign = Math.max(...rows.map((row) => row.foreign))
  process.stdout.write(
    `\nNode ${process.version}, ${cpus()[0].model}; server on core 0, load on core 1; medians of ${pairs} interleaved pairs; ` +
      `other programs took up to ${Math.round(foreign * 100)} % of a core.\n`,
  )
}

function printDisk(name, rows) {
  const where = spawnSync('findmnt', ['-no', 'SOURCE,FSTYPE', '-T', options.disk], { encoding: 'utf8' }).stdout ?? ''
  process.stdout.write(`\n${name}, in ${options.disk} on ${where.trim().replace(/ +/, ', ')}\n`)
  printTable(
    rows.map(({ measure, value, target = '', passed }) => {
      const verdict = passed === undefined ? '' : passed ? 'pass' : 'FAIL'
      return { measure, value, target, '': verdict }
    }),
  )
}

/** @param cells objects with equal keys, which are the heads of the columns */
function printTable(cells) {
  const columns = Object.keys(cells[0])
  const lines = [Object.fromEntries(columns.map((column) => [column, column])), ...cells]
  const widths = columns.map((column) => Math.max(...lines.map((line) => line[column].length)))
  for (const line of lines) {
    const padded = columns.map((column, i) => line[column].padEnd(widths[i]))
    process.stdout.write(`${padded.join('  ').trimEnd()}\n`)
  }
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
