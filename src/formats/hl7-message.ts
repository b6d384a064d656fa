import { SluiceError } from '../contracts/errors.ts'
import type { Readable } from '../contracts/readable.ts'

/** The characters that a message separates its parts with, from MSH-1 and MSH-2 (HL7 v2.5.1, 2.5.4). */
export interface Delimiters {
  readonly field: string
  readonly component: string
  readonly repetition: string
  readonly escape: string
  readonly subcomponent: string
  /** From v2.7 on, and only where MSH-2 has a fifth character; else ''. */
  readonly truncation: string
}

/** What reads the parts of a message: its separators, and the characters of bytes in `\X…\`. */
export interface Notation {
  readonly delimiters: Delimiters
  /** @returns undefined when the bytes are no text */
  decode(bytes: Buffer): string | undefined
}

/** Segments that name the separators: of a message, a batch and a file of batches. */
export const HEADERS: readonly string[] = ['MSH', 'BHS', 'FHS']

/**
 * A segment. `fields[3]` is field 3 as it stands, with its separators and escapes; `fields[0]` is the name. In MSH, BHS
 * and FHS `fields[1]` is the separator itself, so that numbers are those of the standard.
 */
export class Hl7Segment implements Readable {
  readonly name: string
  readonly fields: readonly string[]
  readonly #notation: Notation

  constructor(fields: readonly string[], notation: Notation) {
    this.name = fields[0]!
    this.fields = fields
    this.#notation = notation
    Object.freeze(fields)
    Object.freeze(this)
  }

  /** @param path such as `5`, `5.1`, `3[2].4.1` */
  get(path: string): string | null {
    const match = /^(\d+)(?:\[(\d+)\])?(?:\.(\d+)(?:\.(\d+))?)?$/.exec(path)
    if (match === null) throw noPath(path, '5, 5.1 or 3[2].1')
    return this.part(path, match.slice(1))
  }

  /** @param numbers of the field, the repetition, the component and the subcomponent, from 1; absent ones are undefined */
  part(path: string, numbers: readonly (string | undefined)[]): string | null {
    const [field = 0, repetition, component, subcomponent] = numbers.map(numberOf)
    if ([field, repetition, component, subcomponent].includes(0)) throw noPath(path, 'numbers from 1 on')
    const { delimiters } = this.#notation
    let text = this.fields[field] ?? ''
    if (HEADERS.includes(this.name) && field < 3) return text === '' ? null : text
    if (repetition !== undefined || component !== undefined) text = nth(text, delimiters.repetition, repetition ?? 1)
    if (component !== undefined) text = nth(text, delimiters.component, component)
    if (subcomponent !== undefined) text = nth(text, delimiters.subcomponent, subcomponent)
    return text === '' ? null : withoutEscapes(text, this.#notation)
  }
}

/** A message of HL7 v2. It never changes, and it is written as the bytes that it was read from. */
export class Hl7Message implements Readable {
  readonly segments: readonly Hl7Segment[]
  /** As it was read. */
  readonly #text: string

  constructor(text: string, segments: readonly Hl7Segment[]) {
    this.segments = segments
    this.#text = text
    Object.freeze(segments)
    Object.freeze(this)
  }

  /**
   * What stands at a path: `PID-3.1` is the first component of field 3, `OBX[2]-5` the field 5 of the second OBX,
   * `PID-3[2].1` the second repetition, `PID` the whole segment. Without a repetition the first one is meant, as soon as
   * a component is asked for. A part that has parts itself is given as it stands; others without their escapes.
   * @returns null when it is not there or empty
   */
  get(path: string): string | Hl7Segment | null {
    const match = /^([A-Z][A-Z\d]{2})(?:\[(\d+)\])?(?:-(\d+)(?:\[(\d+)\])?(?:\.(\d+)(?:\.(\d+))?)?)?$/.exec(path)
    if (match === null) throw noPath(path, 'PID-3.1, PID-3[2].1 or OBX[2]-5')
    const [, name, occurrence = '1', ...numbers] = match
    let left = Number(occurrence)
    if (left === 0) throw noPath(path, 'numbers from 1 on')
    const segment = this.segments.find((each) => each.name === name && --left === 0)
    if (segment === undefined) return null
    return numbers[0] === undefined ? segment : segment.part(path, numbers)
  }

  /** The text that the message was read from. */
  toString(): string {
    return this.#text
  }
}

function noPath(path: string, such: string): SluiceError {
  const dotted = /^([A-Z][A-Z\d]{2}(?:\[\d+\])?)\.(\d.*)$/.exec(path)
  const hint = dotted === null ? `Write ${such}.` : `Write ${dotted[1]}-${dotted[2]}.`
  return new SluiceError('expression_failed', `${JSON.stringify(path)} names no part of an HL7 message`, { hint })
}

function numberOf(digits: string | undefined): number | undefined {
  return digits === undefined ? undefined : Number(digits)
}

function nth(text: string, separator: string, number: number): string {
  return (separator === '' ? [text] : text.split(separator))[number - 1] ?? ''
}

/**
 * Takes the escapes out of a text that has no parts (HL7 v2.5.1, 2.7): separators, bytes in hexadecimal, and `\.br\` as a
 * line end. Others, for highlighting and layout, stay as they are.
 */
function withoutEscapes(text: string, { delimiters, decode }: Notation): string {
  const { escape: mark, component, repetition, subcomponent, field, truncation } = delimiters
  if (mark === '' || !text.includes(mark)) return text
  if ([component, repetition, subcomponent].some((each) => each !== '' && text.includes(each))) return text
  const meanings: Readonly<Record<string, string>> = {
    F: field,
    S: component,
    T: subcomponent,
    R: repetition,
    E: mark,
    ...(truncation !== '' && { P: truncation }),
    '.br': '\n',
  }
  const pieces = text.split(mark)
  let result = pieces[0]!
  // Between two escape characters stands what they mean; a lone one stays.
  for (let i = 1; i < pieces.length; i += 2) {
    const code = pieces[i]!
    const isClosed = i + 1 < pieces.length
    const meaning = !isClosed ? undefined : Object.hasOwn(meanings, code) ? meanings[code] : bytesOf(code, decode)
    result += meaning ?? `${mark}${code}${isClosed ? mark : ''}`
    result += pieces[i + 1] ?? ''
  }
  return result
}

function bytesOf(code: string, decode: Notation['decode']): string | undefined {
  return /^X(?:[\da-f]{2})+$/i.test(code) ? decode(Buffer.from(code.slice(1), 'hex')) : undefined
}
