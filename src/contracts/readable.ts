/**
 * A value that has a notation of its own for what is in it, such as `PID-3.1` of an HL7 message. Expressions read it with
 * `get`: `msg.get("PID-3.1")`. Its `get` is a method of its class, so data that a client sends can never be one.
 */
export interface Readable {
  /**
   * @returns null when nothing stands there
   * @throws SluiceError `expression_failed` when the path is none
   */
  get(path: string): unknown
}

export function isReadable(value: unknown): value is Readable {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Object.hasOwn(value, 'get') &&
    !(value instanceof Map) &&
    typeof (value as { readonly get?: unknown }).get === 'function'
  )
}
