import type { Plan } from '../config/plan.ts'

/** Which worker has which endpoint of `connect:` and `subscribe:`: slots by name. */
export type Connects = ReadonlyMap<string, number>

/**
 * Gives each endpoint that has no listener to one worker, which dials it and polls it, or subscribes. One that has its worker
 * already keeps it, so that a reload moves no connection; a new one goes to the worker with the fewest.
 */
export function assignConnects(
  { endpoints, workers }: Pick<Plan, 'endpoints' | 'workers'>,
  before: Connects,
): Connects {
  const names = endpoints.filter(({ kind }) => kind !== 'listen').map(({ name }) => name)
  const assigned = new Map(names.flatMap((name) => (before.has(name) ? [[name, before.get(name)!]] : [])))
  for (const name of names) {
    if (assigned.has(name)) continue
    const counts = Array.from({ length: workers }, (_, i) => countOf(i + 1, assigned))
    assigned.set(name, counts.indexOf(Math.min(...counts)) + 1)
  }
  return assigned
}

function countOf(slot: number, assigned: Connects): number {
  return Array.from(assigned.values()).filter((one) => one === slot).length
}
