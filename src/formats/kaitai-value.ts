import { REPLACEMENT } from '../util/utf8.ts'

/** An object that code of Kaitai's compiler makes. Names with an underscore in front are its own. */
export interface Struct {
  readonly _io: { readonly pos: number; readonly byteOffset: number }
  readonly [name: string]: unknown
}

export function isStruct(value: unknown): value is Struct {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, '_io')
}

/**
 * A value without anything of Kaitai's: objects with the ids of the `.ksy` file, lists, numbers, texts, bytes.
 * @throws what reading an instance throws; Error for a text that is not valid in its encoding
 */
export function toKaitaiValue(value: unknown, ids: ReadonlyMap<string, string>): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  if (Array.isArray(value)) return value.map((one) => toKaitaiValue(one, ids))
  if (typeof value === 'string' && value.includes(REPLACEMENT))
    throw new Error('a text that is not valid in its encoding')
  if (!isStruct(value)) return typeof value === 'object' ? null : value
  const object: Record<string, unknown> = {}
  for (const name of namesOf(value)) {
    const inner = value[name]
    // Absent by an `if` of the description.
    if (inner !== undefined) object[ids.get(name) ?? name] = toKaitaiValue(inner, ids)
  }
  return object
}

/** Fields, and then instances, which are getters of the class. */
function namesOf(struct: Struct): string[] {
  const getters = Object.entries(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(struct)))
  const instances = getters.filter(([, { get }]) => get !== undefined).map(([name]) => name)
  return [...Object.keys(struct).filter((name) => !name.startsWith('_')), ...instances]
}
