import { SluiceError } from '../contracts/errors.ts'

/**
 * A mistake in an expression or a template that is found when it is loaded. The offsets count UTF-16 units from the
 * begin of the source that was compiled, so that a configuration can show file, line and column.
 */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError'
  /** What to write instead. */
  readonly hint: string | undefined
  readonly start: number
  /** Behind the last unit of the mistake; never before `start`. */
  readonly end: number

  constructor(message: string, at: { readonly start: number; readonly end: number }, hint?: string) {
    super(message)
    this.hint = hint
    this.start = at.start
    this.end = Math.max(at.end, at.start)
  }
}

/** Runs what can be decided when an expression is loaded, and turns a failure into a mistake at a place. */
export function atLoad<T>(at: { readonly start: number; readonly end: number }, run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw error instanceof SluiceError ? new ExpressionError(error.message, at, error.hint) : error
  }
}
