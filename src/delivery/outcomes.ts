import { SluiceError } from '../contracts/errors.ts'
import type { Outcomes } from '../contracts/sink.ts'

/**
 * What a sink has given, if it makes sense.
 * @param length how many messages it was given
 * @throws SluiceError `internal` when it does not say what became of each of them: it breaks its contract
 */
export function checkOutcomes(outcomes: void | Outcomes, length: number): void | Outcomes {
  if (outcomes === undefined || (Array.isArray(outcomes) && outcomes.length === length)) return outcomes
  const given = Array.isArray(outcomes) ? `${outcomes.length} outcomes` : String(outcomes)
  throw new SluiceError(
    'internal',
    `the sink gave ${given} for ${length} messages, so it is not known what it delivered`,
  )
}
