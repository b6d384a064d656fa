import { resolve } from 'node:path'
import type { EndpointPlan, Plan } from '../config/plan.ts'
import type { WorkerTask } from './protocol.ts'
import { isPort } from './worker-transport.ts'

/** What one of several workers does of a plan: it listens like all of them, and dials where nobody else does. */
export function planOfWorker(plan: Plan, task: Pick<WorkerTask, 'slot' | 'connects' | 'ticketKeys'>): Plan {
  const mine = plan.endpoints.filter(({ kind, name }) => kind === 'listen' || task.connects.includes(name))
  return { ...plan, endpoints: mine.map((endpoint) => endpointOf(endpoint, plan, task)) }
}

/** The data folder of a plan, absolute. */
export function dataDirOf({ baseDir, data }: Pick<Plan, 'baseDir' | 'data'>): string {
  return resolve(baseDir, data.dir)
}

function endpointOf(
  endpoint: EndpointPlan,
  { workers, balance }: Plan,
  { slot, ticketKeys }: Pick<WorkerTask, 'slot' | 'ticketKeys'>,
): EndpointPlan {
  if (endpoint.kind !== 'listen') return endpoint
  const { tls, limits, addresses } = endpoint
  // Where the kernel chooses, nobody sees all connections, so each worker has its share of the limit.
  const isShared = balance === 'reusePort' && addresses.every(isPort)
  const share = Math.floor(limits.maxConnections / workers) + (slot <= limits.maxConnections % workers ? 1 : 0)
  return {
    ...endpoint,
    tls: tls && { ...tls, ticketKeys },
    limits: isShared ? { ...limits, maxConnections: share } : limits,
  }
}
