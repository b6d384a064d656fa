import type { Plan } from '../config/plan.ts'
import { readOpenFilesLimit } from '../observe/open-files.ts'

/** Why clients may be turned away in silence: the limits on connections allow more than the process has files for. */
export function openFilesWarning({ endpoints, workers }: Pick<Plan, 'endpoints' | 'workers'>): string | undefined {
  const files = readOpenFilesLimit()
  const connections = endpoints.reduce(
    (sum, endpoint) => sum + ('limits' in endpoint ? endpoint.limits.maxConnections : 1),
    0,
  )
  if (files === 0 || connections <= files * workers * SHARE) return undefined
  const who = workers === 1 ? 'this process' : `each of ${workers} workers`
  return `${connections} connections are allowed in all, but ${who} may open only ${files} files; what comes above that is closed without a word`
}

export const OPEN_FILES_HINT =
  'Raise the limit of open files (ulimit -n, or LimitNOFILE of systemd), or lower limits.maxConnections.'

/** The rest is for databases, logs, scripts and the program itself. */
const SHARE = 0.8
