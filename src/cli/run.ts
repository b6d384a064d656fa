import { Command } from 'commander'
import { startAdmin } from '../admin/server.ts'
import type { Plan } from '../config/plan.ts'
import { createServerFromPlan, DEFAULT_DRAIN_MS, type Server } from '../config/server.ts'
import { type Address, formatAddress } from '../contracts/client.ts'
import { toSluiceError } from '../contracts/errors.ts'
import { attachLog } from '../observe/log.ts'
import { createMetrics } from '../observe/metrics.ts'
import { parseDuration } from '../util/units.ts'
import { EXIT } from './exit.ts'
import { hintsFor } from './hints.ts'
import { OPEN_FILES_HINT, openFilesWarning } from './open-files.ts'
import { chooseFile, FILE_HELP, planFile } from './plan-file.ts'
import { hasColors, print, printError } from './terminal.ts'

interface RunOptions {
  readonly hints?: boolean
  readonly drain?: string
}

export function runCommand(): Command {
  return new Command('run')
    .description('start the server that a configuration describes')
    .argument('[file]', FILE_HELP)
    .option('--hints', 'print how to talk to each endpoint with nc, telnet, PuTTY and Packet Sender')
    .option('--drain <time>', 'how long a stop may take, such as 30s (default: 15s)')
    .addHelpText('after', '\nSIGTERM and Ctrl-C finish what has arrived, then stop; a second one stops at once.\n')
    .action(async (file: string | undefined, options: RunOptions, command: Command) => {
      const deadline = options.drain === undefined ? DEFAULT_DRAIN_MS : parseDuration(options.drain)
      if (deadline === undefined) return command.error("error: option '--drain' needs a time with a unit, such as 30s")
      const plan = await planFile(chooseFile(file))
      if (plan !== undefined) await runPlan(plan, deadline, options.hints === true)
    })
}

async function runPlan(plan: Plan, deadline: number, hints: boolean): Promise<void> {
  const server = createServerFromPlan(plan)
  const log = attachLog(server.events, {
    level: plan.log.level,
    format: plan.log.format ?? (process.stderr.isTTY ? 'text' : 'json'),
    color: hasColors(process.stderr),
    dialled: plan.endpoints.filter(({ kind }) => kind === 'connect').map(({ name }) => name),
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
async function openAdmin({ admin }: Plan, server: Server): Promise<OpenAdmin | undefined> {
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

function stopOnSignals(server: Server, deadline: number): { readonly promise: Promise<void>; cancel(): void } {
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
