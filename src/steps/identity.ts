import type { PartContext } from '../contracts/context.ts'
import type { Expression } from '../contracts/schema.ts'

/**
 * Tells a step from all others that are not the same: its endpoint, its place and its options. A reload that leaves these as
 * they are finds what is shared under it. Expressions are compared as they are written; functions of a program cannot be
 * compared, so none is the same as another.
 */
export function identityOf(options: unknown, { endpoint, id, clock }: PartContext): string {
  const written = JSON.stringify(options, (_, value) => {
    if (typeof value !== 'function') return value
    const { isFunction, source } = value as Expression
    return isFunction === true ? clock.uuid() : source
  })
  return `${endpoint} ${id} ${written}`
}
