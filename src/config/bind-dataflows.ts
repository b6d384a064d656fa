import type { Dataflow } from '../contracts/dataflow.ts'
import { PlannedDataflow } from './planned.ts'

/**
 * Replaces the dataflows that a plan left inside options, wherever they are. One after the other: were they built side
 * by side, those that go on when one fails would open what nobody closes.
 * @param bind makes one that runs; it is told where in the options it stands: keys and indexes
 */
export async function bindDataflows(
  value: unknown,
  bind: (planned: PlannedDataflow, path: readonly (string | number)[]) => Promise<Dataflow>,
  path: readonly (string | number)[] = [],
): Promise<unknown> {
  if (value instanceof PlannedDataflow) return bind(value, path)
  if (Array.isArray(value)) {
    const items: unknown[] = []
    for (const [i, item] of value.entries()) items.push(await bindDataflows(item, bind, [...path, i]))
    return items
  }
  if (value === null || typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype) return value
  const entries: [string, unknown][] = []
  for (const [key, item] of Object.entries(value)) entries.push([key, await bindDataflows(item, bind, [...path, key])])
  return Object.fromEntries(entries)
}
