import { SluiceError } from '../contracts/errors.ts'

/**
 * A value as JSON, as the format `json` writes it: times as RFC 3339, bytes as base64 text.
 * @throws SluiceError `sink_failed` for a value that JSON does not have
 */
export function jsonText(value: unknown): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
    // A replacer costs several times the work, so it is used only where bytes may be among the values.
    if (text !== undefined && MAY_HOLD_BYTES.test(text)) text = JSON.stringify(value, bytesAsBase64)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n', 1)[0] : String(cause)
    throw new SluiceError('sink_failed', `a value cannot be written as JSON: ${reason}`, { cause })
  }
  if (text === undefined) throw new SluiceError('sink_failed', `a ${typeof value} cannot be written as JSON`)
  return text
}

/** What `JSON.stringify` makes of a Buffer, of other bytes, and of such without any. */
const MAY_HOLD_BYTES = /"type":"Buffer"|\{"0":|\{\}/

/** A replacer; `this` holds the value as it was before its `toJSON`. */
function bytesAsBase64(this: Readonly<Record<string, unknown>>, key: string, value: unknown): unknown {
  const bytes = this[key]
  if (!(bytes instanceof Uint8Array)) return value
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}
