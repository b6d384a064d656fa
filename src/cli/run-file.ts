import { join } from 'node:path'
import { CONTROL_SOCKET, type Reloaded } from '../admin/control-protocol.ts'
import { type ControlHandlers, openControl } from '../admin/control-server.ts'
import { startAdmin } from '../admin/server.ts'
import { ConfigError } from '../config/config-error.ts'
import { slotsIn } from '../config/data-folder.ts'
import { readInherited } from '../config/inherited.ts'
import type { Plan } from '../config/plan.ts'
import { DEFAULT_DRAIN_MS, type Replan, type RunnableServer } from '../config/planned-server.ts'
import { formatProblems } from '../config/problems.ts'
import { readPlan } from '../config/read-plan.ts'
import { createServerFromPlan } from '../config/server.ts'
import { type Address, formatAddress } from '../contracts/client.ts'
import { toSluiceError } from '../contracts/errors.ts'
import { attachLog, type Log, type LogOptions } from '../observe/log.ts'
import { createMetrics, type Metrics } from '../observe/metrics.ts'
import { EXIT } from './exit.ts'
import { hintsFor } from './hints.ts'
import { OPEN_FILES_HINT, openFilesWarning } from './open-files.ts'
import { createServiceManager } from './service-manager.ts'
import { obeySignals } from './signals.ts'
import { hasColors, print, printError } from './terminal.ts'
import { createWatch, type Watch } from './watch.ts'

export interface RunFileOptions {
  /** Print how to talk to each endpoint. */
  readonly hints: boolean
  /** Milliseconds that a stop may take; undefined for the default. */
  readonly deadline: number | undefined
  /** Reload when a file of it changes. */
  readonly watch: boolean
}

/** Runs the server of a configuration until a signal stops it. This is all that `sluice run` loads only when it runs. */
export async function runFile(file: string, options: RunFileOptions): Promise<void> {
  const { plan, text, report, dataDir, watched } = await readPlan(file, process.env, {
    color: hasColors(process.stderr),
  })
  if (report !== '') printError(report)
  if (plan === undefined) process.exitCode = EXIT.failed
  else await runPlan(plan, { file, text, dataDir, watched }, options)
}

/** Where a plan comes from, and where its server keeps what it must not lose. */
interface Origin {
  readonly file: string
  readonly text: string | undefined
  readonly dataDir: string
  /** What it was read from. */
  readonly watched: readonly string[]
}

async function runPlan(plan: Plan, origin: Origin, options: RunFileOptions): Promise<void> {
  const { file, dataDir } = origin
  const { hints, deadline = DEFAULT_DRAIN_MS, watch } = options
  const inherited = readInherited(process.env, process.pid)
  let watching: Watch | undefined
  const follow = (paths: readonly string[]) => watching?.follow(paths)
  const style = {
    format: plan.log.format ?? (process.stderr.isTTY ? ('text' as const) : ('json' as const)),
    color: hasColors(process.stderr),
  }
  const { server, metricsOf } = await createRunnable(plan, origin, inherited, style, follow)
  const log = attachLog(server.events, {
    ...style,
    level: plan.log.level,
    dialled: (endpoint) => server.endpoints.some(({ name, kind }) => name === endpoint && kind === 'connect'),
  })
  const warning = openFilesWarning(plan)
  if (warning !== undefined) log.warn('limits.openFiles', warning, { hint: OPEN_FILES_HINT })
  const manager = createServiceManager(process.env, (text) => log.warn('serviceManager.failed', text))
  server.events.on('server.draining', () => manager.stopping())
  const reload = async (): Promise<Reloaded> => {
    let warnings = ''
    manager.reloading()
    try {
      const report = await server.reload((text) => (warnings = text))
      return { ...report, file, warnings }
    } finally {
      // Also after a reload that failed: the server works as before.
      if (server.state === 'running') manager.ready(statusOf(server))
    }
  }
  // Why a reload failed is in the log already.
  const reloadAlone = () => void reload().catch(() => undefined)
  const signals = obeySignals(server, deadline, reloadAlone)
  const opened: { close(): void | Promise<void> }[] = []
  try {
    const admin = await openAdmin(plan, server, metricsOf)
    if (admin !== undefined) {
      opened.push(admin)
      const address = formatAddress(admin.address)
      log.tell('admin.opened', `admin: http://${address} (/metrics, /health/live, /health/ready)`, { address })
    }
    if (watch) {
      watching = createWatch(reloadAlone, (error) => tellOf(error, log))
      opened.push(watching)
      watching.follow(origin.watched)
    }
    if (plan.workers === 1) await takeOver(plan, dataDir, log)
    await server.start()
    for (const { fd, name } of inherited.left)
      log.warn('socket.unused', 'no endpoint uses a socket that was handed over', { fd, name })
    const handlers = { reload, retryDeadLetters: retryOf(server) }
    const control = await openControl(join(dataDir, CONTROL_SOCKET), handlers).catch((error) => tellOf(error, log))
    if (control !== undefined) {
      opened.push(control)
      // From now on there is nothing to ask, and the next server on this folder may have it.
      server.events.on('server.draining', () => void control.close())
    }
    manager.ready(statusOf(server))
    if (hints) for (const line of hintsFor(plan, server, admin?.address)) print(line)
    await signals.stopped
  } catch (thrown) {
    const { message, hint } = toSluiceError(thrown, 'internal')
    printError(hint === undefined ? message : `${message}. ${hint}`)
    process.exitCode = EXIT.failed
  }
  signals.cancel()
  for (const { close } of opened) await close()
  await manager.flush()
  await log.close()
}

/** Told of the warnings of a configuration. */
type Tell = (warnings: string) => void

interface Runnable {
  readonly server: RunnableServer<Tell>
  /** The metrics of the whole server. @param own those of this process */
  metricsOf(own: Metrics): Metrics
}

/** One process, or a supervisor with its workers, whose code is loaded only then. */
async function createRunnable(
  plan: Plan,
  { file, text }: Origin,
  inherited: ReturnType<typeof readInherited>,
  log: Pick<LogOptions, 'format' | 'color'>,
  follow: (paths: readonly string[]) => void,
): Promise<Runnable> {
  if (plan.workers === 1) {
    return { server: createServerFromPlan(plan, { inherited }, planAgain(file, follow)), metricsOf: (own) => own }
  }
  const { Supervisor } = await import('../cluster/supervisor.ts')
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  const workerFile = new URL(`./worker-process.${extension}`, import.meta.url)
  const server = new Supervisor({ plan, text, file, inherited, env: process.env, log, workerFile, follow })
  return { server, metricsOf: (own) => server.metrics(own) }
}

/** Workers that there were before may have left something. */
async function takeOver(plan: Plan, dataDir: string, log: Log): Promise<void> {
  if (slotsIn(dataDir).length === 0) return
  const { adoptLeftovers } = await import('../cluster/adopt.ts')
  adoptLeftovers(plan, new Map(), (adopted) => {
    const { messages, step, from } = adopted
    log.tell('buffer.adopted', `${messages} messages that waited for ${step} in ${from} have been taken over`, {
      ...adopted,
    })
  })
}

/**
 * Reads the file again for a reload, which is given whom to tell the warnings.
 * @param follow told which files the configuration has now
 */
function planAgain(file: string, follow: (paths: readonly string[]) => void): Replan<Tell> {
  return async (tell, counters) => {
    const { plan, problems, watched } = await readPlan(file, process.env, { counters })
    if (plan === undefined) throw new ConfigError(problems)
    follow(watched)
    tell(formatProblems(problems))
    return plan
  }
}

function retryOf(server: Pick<RunnableServer<Tell>, 'retryDeadLetters'>): ControlHandlers['retryDeadLetters'] {
  return ({ ids }) => {
    if (!Array.isArray(ids) || !ids.every(Number.isSafeInteger)) throw new Error('ids is a list of numbers')
    return server.retryDeadLetters(ids)
  }
}

function statusOf({ endpoints }: RunnableServer<Tell>): string {
  return `running: ${endpoints.map(({ name }) => name).join(', ')}`
}

/** For what the server can do without. */
function tellOf(thrown: unknown, log: Log): undefined {
  const { message, hint } = toSluiceError(thrown, 'internal')
  log.warn('control.failed', message, { hint })
}

interface OpenAdmin {
  readonly address: Address
  close(): Promise<void>
}

/** Opens `admin:` before the endpoints, so that readiness can be asked from the first moment. */
async function openAdmin(
  { admin }: Plan,
  server: RunnableServer<Tell>,
  metricsOf: Runnable['metricsOf'],
): Promise<OpenAdmin | undefined> {
  if (admin === undefined) return undefined
  const metrics = metricsOf(createMetrics(server, server.events))
  try {
    const { address, close } = await startAdmin({ ...admin, metrics, health: () => server.state })
    return { address, close: () => close().then(metrics.close) }
  } catch (thrown) {
    metrics.close()
    throw thrown
  }
}
