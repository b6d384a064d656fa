// The same load for servers that one might use instead. Each is skipped with a line where it is not installed.
import { mkdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { ALL_CPUS, hasProgram, runLoad, startServer } from './processes.mjs'

const HERE = join(dirname(fileURLToPath(import.meta.url)), 'peers')
const SUBJECT = 'bench'

/** @returns a name and a value for each, and the number behind it where there is one */
export async function measurePeers(tools) {
  const peers = []
  peers.push(await jetstream('JetStream, synced', 'jetstream-synced.conf', tools))
  peers.push(await jetstream('JetStream, its default', 'jetstream.conf', tools))
  peers.push(await rsyslog(tools))
  return peers
}

async function jetstream(name, config, { quick, disk, load, sends }) {
  const measure = `${name}: acknowledgements/s`
  if (!hasProgram('nats-server')) return { measure, value: 'skipped: nats-server is not installed' }
  process.stderr.write(`${measure}\n`)
  let server
  try {
    server = await startPeer(disk, ['nats-server', '-c', join(HERE, config)])
  } catch (error) {
    if (!error.message.includes('unknown field "sync_interval"')) throw error
    return { measure, value: 'skipped: this nats-server is older than 2.10' }
  }
  try {
    const connection = await connect({ servers: `127.0.0.1:${server.port}` })
    const manager = await jetstreamManager(connection)
    await manager.streams.add({ name: 'BENCH', subjects: [SUBJECT] })
    await connection.close()
    const times = ['--warmup', 2, '--secs', quick ? 5 : 10]
    const [{ answers_s, p50_us }] = await runLoad(load, server.port, ['ask', ...sends, ...times, '--nats', SUBJECT])
    return { measure, value: `${answers_s} (p50 ${(p50_us / 1000).toFixed(2)} ms)`, perSecond: answers_s }
  } finally {
    await server.stop()
  }
}

/** It answers nothing on TCP; what counts is what has gone through its queue on disk. */
async function rsyslog({ quick, disk, load, data }) {
  const measure = 'rsyslog, synced disk queue: lines/s through it'
  const common = { measure, isRsyslog: true }
  if (!hasProgram('rsyslogd')) return { ...common, value: 'skipped: rsyslogd is not installed' }
  process.stderr.write(`${measure}\n`)
  const command = ['rsyslogd', '-n', '-f', join(HERE, 'rsyslog.conf'), '-i', join(disk, 'rsyslog.pid')]
  const server = await startPeer(disk, command)
  try {
    const began = performance.now()
    const seconds = quick ? 5 : 10
    // It reads as fast as its queue takes lines, so the load need not end by itself.
    const args = ['ingest', '--data', data, '--conns', 64, '--chunk', 4096, '--secs', seconds, '--drain', 1]
    await runLoad(load, server.port, args).catch(() => undefined)
    const spent = (performance.now() - began) / 1000
    const lines = linesOf(join(disk, 'out.txt'))
    return { ...common, value: (lines / spent).toFixed(0), perSecond: lines / spent }
  } finally {
    await server.stop()
  }
}

function startPeer(disk, command) {
  rmSync(disk, { recursive: true, force: true })
  mkdirSync(disk, { recursive: true })
  return startServer(command, { BENCH_DISK: disk }, { cores: ALL_CPUS })
}

function linesOf(file) {
  if (statSync(file, { throwIfNoEntry: false }) === undefined) return 0
  return readFileSync(file, 'latin1').split('\n').length - 1
}
