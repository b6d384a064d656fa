import { toSluiceError } from '../contracts/errors.ts'
import type { EventMap } from '../contracts/events.ts'
import { ConfigError } from './config-error.ts'
import { summarizeProblem } from './problems.ts'

/** What is told of a reload that was not done. */
export function failureOf(thrown: unknown): EventMap['server.reloadFailed'] {
  if (thrown instanceof ConfigError) {
    const errors = thrown.problems.filter(({ severity }) => severity === 'error')
    return { reason: 'the configuration is wrong', mistakes: errors.map(summarizeProblem) }
  }
  const { message, hint } = toSluiceError(thrown, 'internal')
  return { reason: message, hint, mistakes: [] }
}
