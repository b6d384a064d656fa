import type { EndpointCounters } from '../contracts/counters.ts'
import type { Expression, Unresolved, UserFunction } from '../contracts/schema.ts'
import { compileCondition, compileExpression, fromFunction } from '../expression/compile.ts'
import { compilePathTemplate } from '../expression/path-template.ts'
import { compileBytesTemplate, compileTemplate } from '../expression/template.ts'
import type { Environment } from './environment.ts'

/**
 * Makes a function of an expression or a template of the configuration, or takes the function that stands there.
 * @param counters where missing values are counted
 * @throws ExpressionError
 */
export function compile(
  { kind, value, escapes, showBytes }: Unresolved,
  env: Environment['env'],
  counters: EndpointCounters,
): Expression {
  if (typeof value === 'function') return fromFunction(value as UserFunction)
  const source = String(value)
  const onMissing = () => {
    counters.missingValues++
  }
  if (kind === 'condition') return compileCondition(source, { env, onMissing })
  if (kind === 'template') return compileTemplate(source, { env, escapes, showBytes, onMissing })
  if (kind === 'pathTemplate') return compilePathTemplate(source, { env, onMissing })
  if (kind === 'bytesTemplate') return compileBytesTemplate(source, { env, onMissing })
  return compileExpression(source, { env, onMissing })
}
