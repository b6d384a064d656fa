import { SluiceError } from '../contracts/errors.ts'
import { jsonOf } from '../contracts/json.ts'

/**
 * A value as JSON, as the format `json` writes it.
 * @throws SluiceError `sink_failed` for a value that JSON does not have
 */
export function jsonText(value: unknown): string {
  let text: string | undefined
  try {
    text = jsonOf(value)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n', 1)[0] : String(cause)
    throw new SluiceError('sink_failed', `a value cannot be written as JSON: ${reason}`, { cause })
  }
  if (text === undefined) throw new SluiceError('sink_failed', `a ${typeof value} cannot be written as JSON`)
  return text
}
