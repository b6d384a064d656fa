import { spawn } from 'node:child_process'

/** Tells systemd what the server is doing (sd_notify(3)). */
export interface ServiceManager {
  /** @param status one line for `systemctl status` */
  ready(status: string): void
  reloading(): void
  stopping(): void
  /** Resolves when everything has been told. */
  flush(): Promise<void>
}

/**
 * The service manager that has started this program; one that hears nothing where there is none.
 *
 * It listens on a datagram socket, which Node.js does not have, so that its own program `systemd-notify` speaks to it.
 * The unit must allow this with `NotifyAccess=all`.
 * @param env NOTIFY_SOCKET says whether there is one
 * @param warn called once, when it cannot be told
 */
export function createServiceManager(env: NodeJS.ProcessEnv, warn: (text: string) => void): ServiceManager {
  let told = Promise.resolve()
  let isSilent = !env['NOTIFY_SOCKET']
  const tell = (...assignments: string[]) => {
    // One after the other: they mean something in their order only.
    told = told.then(async () => {
      if (isSilent) return
      const problem = await notify(assignments, env).catch(String)
      if (problem === undefined) return
      isSilent = true
      warn(problem)
    })
  }
  return {
    ready: (status) => tell('READY=1', `STATUS=${status.replaceAll(/\s+/g, ' ')}`),
    reloading: () => tell('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`, 'STATUS=reloading'),
    stopping: () => tell('STOPPING=1', 'STATUS=finishing what has arrived'),
    flush: () => told,
  }
}

/** @returns why it could not be told; undefined when it was */
function notify(assignments: readonly string[], env: NodeJS.ProcessEnv): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn('systemd-notify', assignments, { env, stdio: 'ignore', timeout: LONGEST_MS })
    child.on('error', ({ message }) => resolve(`systemd-notify cannot be run: ${message}`))
    child.on('exit', (code, signal) => resolve(code === 0 ? undefined : `systemd-notify ended with ${code ?? signal}`))
  })
}

/** systemd-notify waits until it was heard; a stop must not hang on that. */
const LONGEST_MS = 5000
