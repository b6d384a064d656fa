import { InheritedSockets } from '../transports/inherited.ts'

/**
 * The sockets that systemd hands over (sd_listen_fds(3)): descriptors from 3 on, as many as LISTEN_FDS says, meant for
 * this process when LISTEN_PID is its number; LISTEN_FDNAMES has their names.
 */
export function readInherited(env: NodeJS.ProcessEnv, pid: number): InheritedSockets {
  const count = Number(env['LISTEN_FDS'])
  if (env['LISTEN_PID'] !== String(pid) || !Number.isSafeInteger(count) || count < 1) return new InheritedSockets([])
  const names = (env['LISTEN_FDNAMES'] ?? '').split(':')
  return new InheritedSockets(Array.from({ length: count }, (_, i) => ({ fd: FIRST_FD + i, name: names[i] ?? '' })))
}

/** SD_LISTEN_FDS_START */
const FIRST_FD = 3
