// What is measured: one function for each kind, which takes a running server and gives what one unit of work cost it.
import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { cpuSeconds, residentBytes, runLoad } from './processes.mjs'

const HERE = dirname(fileURLToPath(import.meta.url))
/** Records in the data of `make-data.mjs`. Loads are whole rounds of it, so that the output is known to the byte. */
const ROUND = 200_000
const WRITTEN_MS = 60_000
const IDLE_RATE = 4000

const RELAY = {
  config: 'relay.yaml',
  baseline: 'baseline/relay.mjs',
  upstream: 'baseline/echo.mjs',
  peer: ['haproxy', '-db', '-f', join(HERE, 'peers/haproxy.cfg')],
  compare: 'ratio',
  target: 0.85,
}

/**
 * @typedef {object} Benchmark
 * @property {string} name
 * @property {string} config ours, a file beside this one
 * @property {string} baseline theirs, a file beside this one
 * @property {string} unit of what `measure` gives
 * @property {'ratio' | 'difference'} compare baseline divided by ours, or ours less baseline
 * @property {number} target at least this ratio, or at most this difference
 * @property {number} [files] how many files the server may open
 * @property {string} [upstream] the server behind, a file beside this one; its port is in BENCH_UPSTREAM
 * @property {string[]} [peer] a program that does the same, with its arguments; left out where it is not installed
 * @property {(server, tools) => Promise<number>} measure
 */

/** @returns {Benchmark[]} all, in the order of the table */
export function createBenchmarks({ quick }) {
  return [
    {
      name: 'lines',
      config: 'lines.yaml',
      baseline: 'baseline/lines.mjs',
      unit: 'CPU s per M lines',
      compare: 'ratio',
      target: 0.7,
      measure: (server, tools) => ingest(server, tools, tools.data, quick ? 5 : 20),
    },
    {
      name: 'json',
      config: 'json.yaml',
      baseline: 'baseline/json.mjs',
      unit: 'CPU s per M lines',
      compare: 'ratio',
      target: 0.7,
      measure: (server, tools) => ingest(server, tools, tools.expected, quick ? 3 : 8),
    },
    ...[1, 16].map((outstanding) => ({
      name: `echo ${outstanding}`,
      config: 'echo.yaml',
      baseline: 'baseline/echo.mjs',
      unit: 'CPU s per M lines',
      compare: 'ratio',
      target: 0.85,
      measure: (server, tools) => echo(server, tools, outstanding, (quick ? 1e5 : 3e5) * Math.min(outstanding, 8)),
    })),
    ...[1, 16].map((outstanding) => ({
      ...RELAY,
      name: `relay ${outstanding}`,
      unit: 'CPU s per M lines',
      measure: (server, tools) => echo(server, tools, outstanding, (quick ? 1e5 : 3e5) * Math.min(outstanding, 8)),
    })),
    {
      ...RELAY,
      name: 'relay bulk',
      unit: 'CPU s per GB',
      measure: (server, tools) => bulk(server, tools, quick ? 20 : 60),
    },
    {
      name: 'idle',
      config: 'echo.yaml',
      baseline: 'baseline/echo.mjs',
      unit: 'KiB per connection',
      compare: 'difference',
      target: 2,
      files: 20_000,
      measure: (server, tools) => idle(server, tools, quick ? 4000 : 8000),
    },
  ]
}

/** Sends the data over eight connections and checks what was written, also that of the warm-up. */
async function ingest(server, { load, lineSum, data, out }, expected, rounds) {
  const send = (times) =>
    runLoad(load, server.port, ['ingest', '--data', data, '--conns', 8, '--records', times * ROUND])
  const { size } = statSync(expected)
  const warmUp = Math.ceil(rounds / 4)
  await send(warmUp)
  await written(out, size * warmUp)
  const before = cpuSeconds(server.pid)
  await send(rounds)
  await written(out, size * (warmUp + rounds))
  const cost = cpuSeconds(server.pid) - before
  checkOutput(lineSum, out, expected, warmUp + rounds)
  return (cost / (rounds * ROUND)) * 1e6
}

/** 64-byte lines over 50 connections. The load generator compares every byte that comes back. */
async function echo(server, { load }, outstanding, requests) {
  const send = (records) =>
    runLoad(load, server.port, ['echo', '--conns', 50, '--pipeline', outstanding, '--size', 64, '--records', records])
  await send(requests / 2)
  const before = cpuSeconds(server.pid)
  await send(requests)
  return ((cpuSeconds(server.pid) - before) / requests) * 1e6
}

/** The data over eight connections, and back again. */
async function bulk(server, { load, data }, rounds) {
  const send = (times) =>
    runLoad(load, server.port, ['ingest', '--data', data, '--conns', 8, '--records', times * ROUND, '--expect-echo'])
  await send(rounds / 4)
  const before = cpuSeconds(server.pid)
  const [{ bytes, back_bytes }] = await send(rounds)
  return ((cpuSeconds(server.pid) - before) / (bytes + back_bytes)) * 1e9
}

/** Memory that connections take that say nothing. The warm-up is small: garbage would leave room for some of them. */
async function idle(server, { load, data }, connections) {
  await runLoad(load, server.port, ['ingest', '--data', data, '--conns', 10, '--records', 10])
  const before = residentBytes(server.pid)
  const held = runLoad(load, server.port, ['idle', '--conns', connections, '--secs', 3, '--rate', IDLE_RATE])
  await sleep((connections / IDLE_RATE) * 1000 + 2000)
  const during = residentBytes(server.pid)
  const [, { alive }] = await held
  if (alive !== connections) throw new Error(`${connections - alive} of ${connections} connections were closed`)
  return (during - before) / 1024 / connections
}

/** Waits until a file has a size. */
async function written(file, size) {
  const deadline = Date.now() + WRITTEN_MS
  while (statSync(file).size < size) {
    if (Date.now() > deadline) throw new Error(`${file} has ${statSync(file).size} of ${size} bytes`)
    await sleep(5)
  }
}

/** Whether a file holds the lines of another so many times, in any order. */
function checkOutput(lineSum, file, expected, times) {
  const [got, want] = [file, expected].map((path) => {
    const { stdout, stderr } = spawnSync(lineSum, [path], { encoding: 'utf8' })
    if (stdout === '') throw new Error(stderr)
    return stdout.trim().split(' ').map(BigInt)
  })
  const same = got[0] === want[0] * BigInt(times) && got[1] === BigInt.asUintN(64, want[1] * BigInt(times))
  if (!same) throw new Error(`the output is wrong: ${got[0]} lines where ${want[0] * BigInt(times)} were expected`)
}
