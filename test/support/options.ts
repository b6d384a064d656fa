import { compile } from '../../src/config/compile.ts'
import { EndpointCounters } from '../../src/contracts/counters.ts'
import type { PartDefinition } from '../../src/contracts/define.ts'
import { Unresolved } from '../../src/contracts/schema.ts'
import { readOptions } from '../../src/testing/definition-suite.ts'

/** Options as a user writes them, as `create` gets them: expressions and templates are compiled. Formats must be built. */
export function compileOptions(definition: PartDefinition, given: unknown): never {
  return resolve(readOptions(definition, given)) as never
}

function resolve(value: unknown): unknown {
  if (value instanceof Unresolved) return compile(value, {}, new EndpointCounters())
  if (Array.isArray(value)) return value.map(resolve)
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(item)]))
}
