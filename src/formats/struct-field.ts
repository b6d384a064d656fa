import { checksums } from '../util/checksum.ts'
import { type Bits, bits } from './struct-bits.ts'
import { asVariable, type Fixed, type Variable } from './struct-coding.ts'
import { createLength, type Measure, parseMeasure, type Written } from './struct-length.ts'
import type { LevelNotes } from './struct-notes.ts'
import { bcd, float, integer } from './struct-numbers.ts'
import type {
  ArrayOptions,
  BitsOptions,
  BytesOptions,
  FieldOptions,
  IntegerOptions,
  NumberType,
  StructOptions,
  TextOptions,
} from './struct-options.ts'
import {
  bytesContent,
  encode,
  fixedContent,
  padding,
  sizedContent,
  terminatedContent,
  textContent,
} from './struct-texts.ts'
import { type Endian, type IntegerType, isInteger, rangeOf } from './struct-types.ts'
import { constantContent, constantNumber, type Meaning, named, scaled, withMeaning } from './struct-values.ts'

/** What reads and writes a field. */
export type Codec = { readonly fixed: Fixed } | { readonly variable: Variable }

/** Stands for a field with a mistake, which is reported, so that the others can be looked at. */
export const BROKEN: Codec = { fixed: padding(1, 0) }

/** A field that holds no other fields. What is wrong with it is reported. */
export function compileField(
  field: Exclude<FieldOptions, StructOptions | ArrayOptions>,
  index: number,
  label: string,
  notes: LevelNotes,
): Codec {
  const endian = ('endian' in field ? field.endian : undefined) ?? notes.around.endian
  switch (field.type) {
    case 'bcd':
      if (field.as === 'text' && meaningOf(field, label, [index], notes) !== undefined) {
        notes.report([index, 'as'], 'a text has no scale, offset or names')
      }
      return { fixed: withOptions(bcd(field.length, endian, field.as === 'text', label), field, label, [index], notes) }
    case 'bits':
      return bitsOf(field, index, endian, label, notes)
    case 'text':
      return textOf(field, index, label, notes)
    case 'bytes':
      return bytesOf(field, index, label, notes)
    case 'pad':
      return { fixed: padding(field.length, field.fill) }
    case 'checksum':
      return { fixed: integer(`u${checksums[field.algorithm].width}` as IntegerType, endian, label) }
    case 'f32':
    case 'f64':
      return { fixed: float(field.type, endian, label) }
    default:
      return integerOf(field, index, endian, label, notes)
  }
}

/** Numbers one behind the other have no options. */
export function compileNumber(type: NumberType, endian: Endian, label: string): Variable {
  return asVariable(isInteger(type) ? integer(type, endian, label) : float(type, endian, label), label)
}

/** The length of a field in bytes, or the number of its items. */
export function lengthOf(
  written: Written,
  path: readonly [index: number, key: 'length' | 'count'],
  label: string,
  notes: LevelNotes,
): { measure: Measure; length: ReturnType<typeof createLength> } | undefined {
  const [index, key] = path
  const measure = parseMeasure(written, notes.scope)
  if (typeof measure === 'string') {
    notes.report(path, measure)
    return undefined
  }
  const outer = notes.around.behind
  if (measure.kind === 'rest' && outer === undefined) {
    notes.report(path, 'rest means nothing inside an array')
    return undefined
  }
  const behind = () => notes.behind[index]! + outer!()
  return { measure, length: createLength(measure, notes.claim(measure, index, key === 'count'), behind, label) }
}

function integerOf(field: IntegerOptions, index: number, endian: Endian, label: string, notes: LevelNotes): Codec {
  const number = withOptions(integer(field.type, endian, label), field, label, [index], notes)
  const { equals, names = {} } = field
  const [least, most] = rangeOf(field.type)
  const isOut = (value: number) => value < least || value > most
  const wrong = Object.keys(names).find((key) => isOut(Number(key)))
  if (wrong !== undefined) notes.report([index, 'names', wrong], `${wrong} is no ${field.type}`)
  if (equals === undefined) return { fixed: number }
  if (isOut(equals)) notes.report([index, 'equals'], `${equals} is no ${field.type}`)
  if (field.scale !== undefined || field.offset !== undefined || field.names !== undefined) {
    notes.report([index, 'equals'], 'a number that is always the same needs no scale, offset or names')
  }
  return { fixed: constantNumber(number, equals, label) }
}

/** A number with its scale or its names. */
function withOptions(
  number: Fixed,
  field: MeaningOptions,
  label: string,
  path: readonly (string | number)[],
  notes: LevelNotes,
): Fixed {
  const meaning = meaningOf(field, label, path, notes)
  return meaning === undefined ? number : withMeaning(number, meaning, label)
}

interface MeaningOptions {
  readonly scale?: number | undefined
  readonly offset?: number | undefined
  readonly names?: Record<string, string> | undefined
}

function meaningOf(
  { scale, offset, names }: MeaningOptions,
  label: string,
  path: readonly (string | number)[],
  notes: LevelNotes,
): Meaning | undefined {
  if (names === undefined)
    return scale === undefined && offset === undefined ? undefined : scaled(scale ?? 1, offset ?? 0, label)
  if (scale !== undefined || offset !== undefined)
    notes.report([...path, 'names'], 'a number has names or a scale, not both')
  const taken = Object.values(names).find((name, i, all) => all.indexOf(name) < i)
  if (taken !== undefined) notes.report([...path, 'names'], `two numbers have the name ${taken}`)
  return named(names)
}

function bitsOf(field: BitsOptions, index: number, endian: Endian, label: string, notes: LevelNotes): Codec {
  const groups = field.of.map((group, i): Bits => {
    if (group.name !== undefined && field.of.findIndex(({ name }) => name === group.name) < i) {
      notes.report([index, 'of', i, 'name'], `there are two groups ${group.name}`)
    }
    const meaning = meaningOf(group, label, [index, 'of', i], notes)
    return { name: group.name, count: group.bits, meaning }
  })
  const total = groups.reduce((sum, { count }) => sum + count, 0)
  if (total % 8 !== 0 || total > 48) {
    notes.report([index, 'of'], `the groups have ${total} bits together, and it takes 8, 16, 24, 32, 40 or 48`)
    return BROKEN
  }
  return { fixed: bits(integer(`u${total}` as IntegerType, endian, label), groups, label) }
}

function textOf(field: TextOptions, index: number, label: string, notes: LevelNotes): Codec {
  const { length, until, equals, padding: given } = field
  const content = textContent(field.encoding, label)
  if (equals !== undefined) {
    if (length !== undefined || until !== undefined || given !== undefined) {
      notes.report([index, 'equals'], 'a text that is always the same needs no length, until or padding')
    }
    const written = encode(equals, field.encoding)
    if (written === undefined) {
      notes.report([index, 'equals'], `this is no text in ${field.encoding}`)
      return BROKEN
    }
    const fixed = fixedContent(content, written.length, undefined, label)
    return { fixed: constantContent(fixed, equals, written, label) }
  }
  if ((length === undefined) === (until === undefined)) {
    notes.report([index], 'a text needs one of length and until')
    return BROKEN
  }
  if (typeof length === 'number') return { fixed: fixedContent(content, length, given?.[0] ?? 0, label) }
  if (given !== undefined) notes.report([index, 'padding'], 'only a text of a fixed length has padding')
  if (until !== undefined) return { variable: terminatedContent(content, until, label) }
  const found = lengthOf(length!, [index, 'length'], label, notes)
  return found === undefined ? BROKEN : { variable: sizedContent(content, found.length, label) }
}

function bytesOf({ length, equals }: BytesOptions, index: number, label: string, notes: LevelNotes): Codec {
  const content = bytesContent(label)
  if ((length === undefined) === (equals === undefined)) {
    notes.report([index], 'bytes need one of length and equals')
    return BROKEN
  }
  if (equals !== undefined) {
    return { fixed: constantContent(fixedContent(content, equals.length, undefined, label), equals, equals, label) }
  }
  if (typeof length === 'number') return { fixed: fixedContent(content, length, undefined, label) }
  const found = lengthOf(length!, [index, 'length'], label, notes)
  return found === undefined ? BROKEN : { variable: sizedContent(content, found.length, label) }
}
