import { isPlainObject } from './plain-object.ts'

/** A value that stays in memory longer than the message it came with. */
export interface Kept {
  readonly value: unknown
  /** Bytes of memory that it takes, about. */
  readonly size: number
}

/**
 * Makes a value ready to be kept. A piece of a text and a view of bytes keep all of what they are a piece of in memory; where
 * that is much more than the value itself, its texts and bytes are copied, and so are the lists and mappings around them.
 * Objects of a class cannot be copied, and count as what they keep.
 * @param from bytes of the message that it came with
 * @throws RangeError for what has to be copied and is nested too deep for that
 */
export function keepValue(value: unknown, from: number): Kept {
  const { size, hasViews, hasInstances } = measure(value)
  if (!hasViews && from <= 2 * size + SPARE) return { value, size }
  return hasInstances ? { value, size: Math.max(size, from) } : { value: copyOf(value), size }
}

/** A text with its own memory, whatever it was a piece of. */
export function ownText(text: string): string {
  return text.length < SHORTEST_PIECE ? text : (JSON.parse(JSON.stringify(text)) as string)
}

interface Measured {
  readonly size: number
  /** There are views of bytes in it. */
  readonly hasViews: boolean
  /** There are objects of classes in it: they cannot be copied. */
  readonly hasInstances: boolean
}

/** Step by step and not by calling itself, because a message can nest deeper than calls can. */
function measure(value: unknown): Measured {
  let size = 0
  let hasViews = false
  let hasInstances = false
  const left = [value]
  while (left.length > 0 && size < MOST) {
    const one = left.pop()
    if (typeof one === 'string') size += PRIMITIVE + sizeOfText(one)
    else if (typeof one !== 'object' || one === null) size += PRIMITIVE
    else if (ArrayBuffer.isView(one)) {
      size += OBJECT + one.byteLength
      if (one.byteLength < one.buffer.byteLength) hasViews = true
    } else {
      size += OBJECT
      if (Array.isArray(one)) for (const item of one) left.push(item)
      else if (isPlainObject(one)) size += takeApart(one, left)
      else if (one instanceof Map) for (const entry of one) left.push(...entry)
      else if (!(one instanceof Date)) {
        hasInstances = true
        size += takeApart(one, left)
      }
    }
  }
  return { size, hasViews, hasInstances }
}

/** Puts what is in a mapping, or an object of a class, to the others. @returns bytes of its keys */
function takeApart(one: object, left: unknown[]): number {
  let size = 0
  for (const key of Object.keys(one)) {
    size += PRIMITIVE + key.length
    left.push((one as Readonly<Record<string, unknown>>)[key])
  }
  return size
}

/** A text with other characters than those of ASCII may take two bytes for each. A short one is not looked at for that. */
function sizeOfText(text: string): number {
  return text.length > SHORT && Buffer.byteLength(text) === text.length ? text.length : 2 * text.length
}

function copyOf(value: unknown): unknown {
  if (typeof value === 'string') return ownText(value)
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return Buffer.from(value)
  if (Array.isArray(value)) return value.map(copyOf)
  if (value instanceof Map) return new Map(Array.from(value, ([key, item]) => [copyOf(key), copyOf(item)] as const))
  if (value instanceof Date || ArrayBuffer.isView(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, copyOf(item)]))
}

/** What a number takes, and the place of any value in what it is in. */
const PRIMITIVE = 16

/** What an empty list or mapping takes. */
const OBJECT = 64

/** So much more than twice its size a value may keep in memory: nothing is copied for that. */
const SPARE = 256

/** Characters. */
const SHORT = 100

/** A shorter text is never a piece of another: the engine copies it. */
const SHORTEST_PIECE = 13

/** Where measuring ends, or what holds itself would be measured for ever. */
const MOST = 256 * 1024 * 1024
