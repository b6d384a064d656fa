import type { PlannedServer } from '../config/planned-server.ts'
import { EXIT } from './exit.ts'

/**
 * Lets signals stop and reload a server: SIGTERM and SIGINT drain it, a second one stops it at once, SIGHUP reloads.
 * @param deadline milliseconds that a drain may take
 * @returns `stopped`, and what takes the signals back
 */
export function obeySignals(
  server: Pick<PlannedServer, 'stop'>,
  deadline: number,
  reload: () => void,
): { readonly stopped: Promise<void>; cancel(): void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  let askedAt: number | undefined
  const stop = () => {
    const now = performance.now()
    if (askedAt === undefined) void server.stop({ deadline }).then(resolve)
    else if (now - askedAt > ECHO_MS) {
      void server.stop({ deadline: 0 })
      // Whatever still hangs, a disk say, must not keep the program from ending.
      setTimeout(() => process.exit(EXIT.failed), LAST_MS).unref()
    }
    askedAt ??= now
  }
  const listeners = { SIGTERM: stop, SIGINT: stop, SIGHUP: reload }
  const entries = Object.entries(listeners) as [NodeJS.Signals, () => void][]
  for (const [signal, listener] of entries) process.on(signal, listener)
  return {
    stopped: promise,
    cancel: () => {
      for (const [signal, listener] of entries) process.off(signal, listener)
    },
  }
}

/** A signal to a whole process group reaches a server under npm twice within this time; that is one wish, not two. */
const ECHO_MS = 250

/** How long a stop at once may take before the program ends without it. */
const LAST_MS = 3000
