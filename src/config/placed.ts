import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { StepPlan } from './planned.ts'
import { formatPath } from './problems.ts'

/**
 * Creates something, and says in an error where it stands: `sluice.yaml:12: listen.scales.dataflow[2] (sqlite): …`.
 * @param part what of the place it is
 */
export async function placed<T>(
  { path, position }: Pick<StepPlan, 'path' | 'position'>,
  part: string,
  create: () => T | Promise<T>,
): Promise<T> {
  try {
    return await create()
  } catch (thrown) {
    const { code, message, hint, retryable } = toSluiceError(thrown)
    const line = position === undefined ? '' : `${position.file}:${position.line}: `
    const place = `${line}${formatPath(path)} (${part})`
    throw new SluiceError(code, `${place}: ${message}`, {
      cause: thrown,
      retryable,
      ...(hint !== undefined && { hint }),
    })
  }
}
