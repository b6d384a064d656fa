import { formatProblems, type Problem } from './problems.ts'

/** A configuration has mistakes. The message lists all of them. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super(`the configuration is wrong:\n${formatProblems(problems)}`)
    this.problems = problems
  }
}
