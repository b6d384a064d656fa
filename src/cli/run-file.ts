import { startAdmin } from '../admin/server.ts'
import type { Plan } from '../config/plan.ts'
import { createServerFromPlan, DEFAULT_DRAIN_MS, type PlannedServer } from '../config/server.ts'
import { type Address, formatAddress } from '../contracts/client.ts'
import { toSluiceError } from '../contracts/errors.ts'
import { attachLog } from '../observe/log.ts'
import { createMetrics } from '../observe/metrics.ts'
import { EXIT } from './exit.ts'
import { hintsFor } from './hints.ts'
import { OPEN_FILES_HINT, openFilesWarning } from './open-files.ts'
import { planFile } from './plan-file.ts'
import { hasColors, print, printError } from './terminal.ts'

export interface RunFileOptions {
  /** Print how to talk to each endpoint. */
  readonly hints: boolean
  /** Milliseconds that a stop may take; undefined for the default. */
  readonly deadline: number | undefined
}

/** Runs the server of a configuration until a signal stops it. This is all that `sluice run` loads only when it runs. */
export async function runFile(file: string, { hints, deadline = DEFAULT_DRAIN_MS }: RunFileOptions): Promise<void> {
  const plan = await planFile(file)
  if (plan !== undefined) await runPlan(plan, deadline, hints)
}

async function runPlan(plan: Plan, deadline: number, hints: boolean): Promise<void> {
  const server = createServerFromPlan(plan)
  const log = attachLog(server.events, {
    level: plan.log.level,
    format: plan.log.format ?? (process.stderr.isTTY ? 'text' : 'json'),
    color: hasColors(process.stderr),
    dialled: (endpoint) => server.endpoints.some(({ name, kind }) => name === endpoint && kind === 'connect'),
  })
  const warning = openFilesWarning(plan)
  if (warning !== undefined) log.warn('limits.openFiles', warning, { hint: OPEN_FILES_HINT })
  const stopped = stopOnSignals(server, deadline)
  let admin: OpenAdmin | undefined
  try {
    admin = await openAdmin(plan, server)
    if (admin !== undefined) {
      const address = formatAddress(admin.address)
      log.tell('admin.opened', `admin: http://${address} (/metrics, /health/live, /health/ready)`, { address })
    }
    await server.start()
    if (hints) for (const line of hintsFor(plan, server, admin?.address)) print(line)
    await stopped.promise
  } catch (thrown) {
    const { message, hint } = toSluiceError(thrown, 'internal')
    printError(hint === undefined ? message : `${message}. ${hint}`)
    process.exitCode = EXIT.failed
  }
  stopped.cancel()
  await admin?.close()
  await log.close()
}

interface OpenAdmin {
  readonly address: Address
  close(): Promise<void>
}

/** Opens `admin:` before the endpoints, so that readiness can be asked from the first moment. */
async function openAdmin({ admin }: Plan, server: PlannedServer): Promise<OpenAdmin | undefined> {
  if (admin === undefined) return undefined
  const metrics = createMetrics(server, server.events)
  try {
    const { address, close } = await startAdmin({ ...admin, metrics, health: () => server.state })
    return { address, close: () => close().then(metrics.close) }
  } catch (thrown) {
    metrics.close()
    throw thrown
  }
}

function stopOnSignals(server: PlannedServer, deadline: number): { readonly promise: Promise<void>; cancel(): void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  let askedAt: number | undefined
  const onSignal = () => {
    const now = performance.now()
    if (askedAt === undefined) void server.stop({ deadline }).then(resolve)
    else if (now - askedAt > ECHO_MS) {
      void server.stop({ deadline: 0 })
      // Whatever still hangs, a disk say, must not keep the program from ending.
      setTimeout(() => process.exit(EXIT.failed), LAST_MS).unref()
    }
    askedAt ??= now
  }
  const cancel = () => {
    process.off('SIGTERM', onSignal)
    process.off('SIGINT', onSignal)
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  return { promise, cancel }
}

/** A signal to a whole process group reaches a server under npm twice within this time; that is one wish, not two. */
const ECHO_MS = 250

/** How long a stop at once may take before the program ends without it. */
const LAST_MS = 3000
