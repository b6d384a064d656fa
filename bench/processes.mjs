// Starts servers on one core and the load on the other, and reads what they cost from /proc (Linux).
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const SERVER_CPU = '0'
/** For a server with a thread that does nothing but wait for the disk: one core would make its threads wait for each other. */
export const ALL_CPUS = '0,1'
/** For the load, and for what a server asks in its turn. */
export const LOAD_CPU = '1'
const START_MS = 20_000
const STOP_MS = 20_000

/** Clock ticks of /proc in a second: a constant of the Linux ABI. */
const TICKS = 100

/**
 * Starts a server on its core and waits until it listens.
 * @param command program and arguments; it finds its port in the environment
 * @param env added to our environment
 * @param options.files how many files it may open, sockets included
 * @param options.cores on which it may run
 */
export async function startServer(command, env, { files, cores = SERVER_CPU } = {}) {
  const pinned = ['taskset', '-c', cores, ...command]
  const limited = files === undefined ? pinned : ['sh', '-c', `ulimit -n ${files} && exec "$@"`, 'sh', ...pinned]
  const port = await freePort()
  const child = spawn(limited[0], limited.slice(1), {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...env, BENCH_PORT: String(port) },
  })
  let complaint = ''
  child.stderr.on('data', (text) => {
    complaint = `${complaint}${text}`.slice(-2000)
  })
  const exited = once(child, 'exit')
  const server = { pid: child.pid, port, stop: () => stop(child, exited) }
  for (const deadline = Date.now() + START_MS; !listens(port); await sleep(20)) {
    if (child.exitCode === null && child.signalCode === null && Date.now() < deadline) continue
    await server.stop()
    throw new Error(`${command.join(' ')} did not listen\n${complaint}`)
  }
  return server
}

/**
 * Runs the load generator on its core to its end.
 * @returns the objects that it printed
 */
export async function runLoad(program, port, args) {
  const child = spawn('taskset', ['-c', LOAD_CPU, program, '--port', String(port), '--json', ...args.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.on('data', (chunk) => {
    text += chunk
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`the load failed: ${args.join(' ')}\n${text}`)
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}

/** CPU time of a process and all its threads since its start, user and system, in seconds. */
export function cpuSeconds(pid) {
  const [user, system] = cpuTicks(pid)
  return (user + system) / TICKS
}

/** CPU time of each thread of a process since its start, in seconds. */
export function threadSeconds(pid) {
  return readdirSync(`/proc/${pid}/task`).map((id) => {
    const [user, system] = cpuTicks(`${pid}/task/${id}`)
    return { id, isMain: id === String(pid), cpu: (user + system) / TICKS }
  })
}

/** CPU time of this process and of all its children that have ended, in seconds. */
export function ownCpuSeconds() {
  return cpuTicks('self').reduce((sum, ticks) => sum + ticks, 0) / TICKS
}

/** Resident memory in bytes. */
export function residentBytes(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024
}

/** Seconds of CPU time that the whole machine has spent at work since it was started. */
export function machineSeconds() {
  const [user, nice, system, , , irq, softirq] = readFileSync('/proc/stat', 'utf8').split('\n')[0].match(/\d+/g)
  return [user, nice, system, irq, softirq].reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS
}

/** @returns whether a program can be found */
export function hasProgram(name) {
  return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0
}

/** User and system time of a process, then of its children that have ended (proc_pid_stat(5), fields 14 to 17). */
function cpuTicks(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The second field is the program's name, in brackets, and may hold blanks.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields.slice(11, 15).map(Number)
}

async function stop(child, exited) {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  await exited
  clearTimeout(timer)
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return port
}

/** Asks the kernel: a connection to try it out would be one that the server has to serve. */
function listens(port) {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')} 00000000:0000 0A`
  return readFileSync('/proc/net/tcp', 'utf8').includes(local)
}
