/**
 * Makes Buffers again of the bytes in a value that was copied from another thread; copying turns them into plain
 * Uint8Arrays. The value is changed in place: it is a copy and nobody else has it.
 * @throws RangeError when the value contains itself
 */
export function reviveBytes(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      if (typeof value[i] === 'object') value[i] = reviveBytes(value[i])
    }
    return value
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return value
  const entries = value as Record<string, unknown>
  for (const key of Object.keys(entries)) {
    const entry = entries[key]
    if (typeof entry === 'object') entries[key] = reviveBytes(entry)
  }
  return value
}
