import { js } from '../codegen/code.ts'
import { checksums } from '../util/checksum.ts'
import { suggest } from '../util/suggest.ts'
import { countedArray, measuredArray } from './struct-array.ts'
import type { Variable } from './struct-coding.ts'
import { type Condition, ConditionError, compileCondition } from './struct-condition.ts'
import { BROKEN, type Codec, compileField, compileNumber, lengthOf } from './struct-field.ts'
import { REST } from './struct-length.ts'
import { type Checksum, Level, type Range } from './struct-level.ts'
import { type Around, isIntegerField, LevelNotes } from './struct-notes.ts'
import type { ArrayOptions, FieldOptions } from './struct-options.ts'
import type { Field } from './struct-parts.ts'
import { Scope } from './struct-scope.ts'
import { isOfLists, type Measured, type Size } from './struct-sizes.ts'

/** How many structs can be inside each other. */
const MAX_DEPTH = 8

/**
 * Makes of fields what reads and writes them.
 * @param around its `problems` get what is wrong; the result is of use only when there are none
 */
export function compileLevel(options: readonly FieldOptions[], around: Around): Compiled<Level> {
  const scope = new Scope(around.outer)
  const notes = new LevelNotes(scope, around)
  const isTooDeep = scope.depth >= MAX_DEPTH
  if (isTooDeep) notes.report([], `there can be ${MAX_DEPTH} structs inside each other, and no more`)
  const parts = isTooDeep ? [] : options.map((field, index) => compilePart(field, index, notes))
  measureBehind(parts, notes)
  const lengths = parts.flatMap((part, index) => lengthRange(part, index, notes))
  const checksums = parts.flatMap((part, index) => checksumRange(part, index, notes))
  const sizes = parts.flatMap((_, index) => sizeAt(index, parts, lengths, notes))
  const computed = new Set([...sizes.filter((size) => !isOfLists(size)), ...checksums].map(({ target }) => target))
  const level = new Level({
    label: around.label,
    scope,
    fields: parts.map((part, index): Field => ({ ...part, computed: computed.has(index) })),
    lengths,
    checksums,
    sizes,
  })
  return { codec: level, usesRest: parts.some(({ usesRest }) => usesRest) }
}

interface Compiled<C> {
  readonly codec: C
  /** It takes all bytes up to the fields behind it. */
  readonly usesRest: boolean
}

interface Part extends Omit<Field, 'computed'>, Compiled<Codec> {
  readonly options: FieldOptions
}

function compilePart(options: FieldOptions, index: number, notes: LevelNotes): Part {
  const { name } = options
  const label = `${notes.around.prefix}${name ?? `field ${index + 1}`}`
  const condition = conditionOf(options.if, index, notes)
  const { codec, usesRest } = compileCodec(options, index, label, notes)
  if (name !== undefined) notes.add(name, index, options)
  else if (needsName(options))
    notes.report([index], `a field of type ${options.type} needs a name, or bytes that mean nothing are type: pad`)
  return { key: name, label, condition, codec, usesRest, options }
}

function conditionOf(source: string | undefined, index: number, notes: LevelNotes): Condition | undefined {
  if (source === undefined) return undefined
  try {
    return compileCondition(source, notes.scope)
  } catch (error) {
    if (!(error instanceof ConditionError)) throw error
    notes.report([index, 'if'], error.message)
    return undefined
  }
}

/** Without a name there is no value to write, unless it is always the same or worked out. */
function needsName(options: FieldOptions): boolean {
  if (options.type === 'pad' || options.type === 'checksum') return false
  if (isIntegerField(options) && options.lengthOf !== undefined) return false
  return !('equals' in options) || options.equals === undefined
}

function compileCodec(options: FieldOptions, index: number, label: string, notes: LevelNotes): Compiled<Codec> {
  if (options.type === 'array') return compileArray(options, index, label, notes)
  if (options.type !== 'struct') {
    return {
      codec: compileField(options, index, label, notes),
      usesRest: 'length' in options && options.length === REST,
    }
  }
  const { around } = notes
  const { codec, usesRest } = compileLevel(options.of, {
    ...around,
    outer: notes.scope,
    path: [...around.path, index, 'of'],
    label,
    prefix: `${label}.`,
    behind: around.behind && (() => notes.behind[index]! + around.behind!()),
  })
  return { codec: { variable: codec }, usesRest }
}

function compileArray(options: ArrayOptions, index: number, label: string, notes: LevelNotes): Compiled<Codec> {
  const { count, length, of } = options
  const item = itemOf(of, index, label, notes)
  if (item.minSize === 0 && typeof count !== 'number')
    notes.report([index, 'of'], 'an item can be empty, so nobody knows how many there are')
  if ((count === undefined) === (length === undefined) || count === REST) {
    notes.report([index], 'an array needs one of count and length; up to the end it is length: rest')
    return { codec: BROKEN, usesRest: false }
  }
  const found =
    count === undefined
      ? lengthOf(length!, [index, 'length'], label, notes)
      : lengthOf(count, [index, 'count'], label, notes)
  if (found === undefined) return { codec: BROKEN, usesRest: false }
  const variable =
    count === undefined ? measuredArray(item, found.length, label) : countedArray(item, found.length, label)
  return { codec: { variable }, usesRest: length === REST }
}

function itemOf(of: ArrayOptions['of'], index: number, label: string, notes: LevelNotes): Variable {
  const { around } = notes
  if (typeof of === 'string') return compileNumber(of, around.endian, `${label}[]`)
  return compileLevel(of, {
    ...around,
    outer: notes.scope,
    path: [...around.path, index, 'of'],
    label: `${label}[]`,
    prefix: `${label}[].`,
    behind: undefined,
  }).codec
}

/** How many bytes come behind each field, as far as somebody asks. */
function measureBehind(parts: readonly Part[], notes: LevelNotes): void {
  let behind: number | undefined = 0
  for (const [index, { codec, condition, options, usesRest }] of [...parts.entries()].reverse()) {
    if (usesRest && behind === undefined) {
      const path = options.type === 'struct' ? [index] : [index, 'length']
      notes.report(path, 'rest needs fields of fixed size behind it, which are always there')
    }
    notes.behind[index] = behind ?? 0
    const size: number | undefined = 'fixed' in codec ? codec.fixed.size : codec.variable.size
    behind = size === undefined || behind === undefined || condition !== undefined ? undefined : behind + size
  }
}

/** A number that says the length of fields. */
interface LengthRange extends Range {
  readonly plus: number
}

function lengthRange({ options }: Part, target: number, notes: LevelNotes): LengthRange[] {
  if (!isIntegerField(options) || options.lengthOf === undefined) return []
  const { plus } = options.lengthOf
  const from = placeOf(options.lengthOf.from, [target, 'lengthOf', 'from'], notes) ?? target
  const to = placeOf(options.lengthOf.to, [target, 'lengthOf', 'to'], notes) ?? target
  if (to < from) notes.report([target, 'lengthOf'], 'the length is of no field')
  if (options.equals !== undefined || options.scale !== undefined || options.offset !== undefined || options.names) {
    notes.report([target, 'lengthOf'], 'a length has no equals, scale, offset or names')
  }
  return [
    {
      target,
      from,
      to,
      plus,
      compute: (_body, _bytes, start, end) => js`(${end} - ${start} + ${plus})`,
      problem: (stated, found) => `is ${stated}, and the fields that it is of have the length ${found},`,
    },
  ]
}

function checksumRange({ options }: Part, target: number, notes: LevelNotes): Checksum[] {
  if (options.type !== 'checksum') return []
  const from = placeOf(options.from, [target, 'from'], notes) ?? 0
  const to = placeOf(options.to, [target, 'to'], notes) ?? target - 1
  if (to < from) notes.report([target], 'the checksum is of no field')
  if (from <= target && target <= to) notes.report([target], 'a checksum cannot be of itself')
  const { compute } = checksums[options.algorithm]
  return [
    {
      target,
      from,
      to,
      compute: (body, bytes, start, end) => body.call(compute, bytes, start, end),
      problem: (stated, found) =>
        `is 0x${Number(stated).toString(16)}, and the ${options.algorithm} of the bytes is 0x${found.toString(16)},`,
      asked: options.name !== undefined && notes.scope.usesOf(options.name) > 0,
    },
  ]
}

/** What the number at an index is written as, if it is the size of other fields. */
function sizeAt(target: number, parts: readonly Part[], lengths: readonly LengthRange[], notes: LevelNotes): Size[] {
  const { key, label } = parts[target]!
  const fields = notes.sizedBy(key)
  const measured = [
    ...lengths
      .filter((range) => range.target === target)
      .map(({ from, to, plus }): Measured => ({ from, to, key: undefined, isList: false, plus, isAlways: true })),
    ...fields.map(({ index, isList, plus }): Measured => {
      const { key, condition } = parts[index]!
      return { from: index, to: index, key, isList, plus, isAlways: condition === undefined }
    }),
  ]
  const asked = key !== undefined && notes.scope.usesOf(key) > fields.length
  return measured.length === 0 ? [] : [{ target, key, label, measured, asked }]
}

function placeOf(name: string | undefined, path: readonly (string | number)[], notes: LevelNotes): number | undefined {
  if (name === undefined) return undefined
  const index = notes.indexOf(name)
  if (index !== undefined) return index
  const near = suggest(name, notes.scope.names)
  notes.report(path, `there is no field ${name} beside this one${near === undefined ? '' : `; did you mean ${near}?`}`)
  return undefined
}
