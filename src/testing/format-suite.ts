import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { FormatDefinition } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Format } from '../contracts/format.ts'
import { Frames } from '../contracts/framing.ts'
import { formatBytes, parseBytes } from '../util/escapes.ts'
import type { Check } from './check.ts'
import { definitionSuite, readOptions } from './definition-suite.ts'
import { createRandom, type Random } from './random.ts'

export interface FormatSuiteOptions {
  /** How many frames of garbage are parsed, over all the options that the examples use. Default 100,000. */
  readonly frames?: number
  /** Where the garbage begins; another seed gives other garbage. Default 1. */
  readonly seed?: number
}

/**
 * The checks that every format passes. They need no network and no test runner. Files that the examples name are written
 * to a temporary folder, and are gone when a format has been made.
 */
export function formatSuite(definition: FormatDefinition, options: FormatSuiteOptions = {}): Check[] {
  const { frames = 100_000, seed = 1 } = options
  const variants = variantsOf(definition)
  const formatOf = async ({ options }: Example) => {
    const { format } = variants.find(({ title }) => title === titleOf(options))!
    assert.equal(await format.ready, undefined)
    return format
  }
  const each = (title: string, run: (variant: Variant, random: Random, frames: number) => void): Check[] =>
    variants.map((variant) => ({
      name: `${title}, with ${variant.title}`,
      async run() {
        await variant.format.ready
        run(variant, createRandom(seed), Math.ceil(frames / variants.length))
      },
    }))
  return [
    ...definitionSuite(definition),
    {
      name: 'there is at least one example',
      run: () => assert.ok(definition.examples.length > 0),
    },
    ...definition.examples.map((example) => ({
      name: `example: ${example.title}`,
      async run() {
        const format = await formatOf(example)
        const bytes = parseBytes(example.bytes)
        assert.deepEqual(format.parse(bytes, 0, bytes.length), example.value)
        if (definition.readOnly) {
          assert.throws(() => format.print(example.value), isNotPrintable)
          return
        }
        const printed = toBuffer(format.print(example.value))
        assert.equal(formatBytes(printed, 1000), formatBytes(parseBytes(example.prints ?? example.bytes), 1000))
      },
    })),
    ...definition.rejects.map((text) => ({
      name: `refuses "${text.length > 40 ? `${text.slice(0, 40)}…` : text}"`,
      async run() {
        const bytes = parseBytes(text)
        const format = await formatOf(definition.examples[0]!)
        assert.throws(() => format.parse(bytes, 0, bytes.length), isFormatInvalid)
      },
    })),
    ...each('reads only its slice', readsOnlyItsSlice),
    ...each('garbage gives a value that can be printed, or format_invalid', survivesGarbage),
    ...each('acceptsAll never takes a frame that parse refuses', acceptsOnlyWhatParses),
    ...each('a value stays as it is when the next frames are parsed', keepsValues),
  ]
}

/** A format with the options of some examples, and frames that are good in it. */
interface Variant {
  readonly title: string
  /** Whatever is parsed with the default options can be printed. Old encodings may read more than they can write. */
  readonly isDefault: boolean
  readonly format: Format
  readonly good: readonly Buffer[]
}

function variantsOf(definition: FormatDefinition): Variant[] {
  const byOptions = Map.groupBy(definition.examples, ({ options }) => titleOf(options))
  return [...byOptions].map(([title, examples]) => ({
    title,
    isDefault: title === DEFAULT,
    format: create(definition, examples[0]!),
    good: examples.map(({ bytes }) => parseBytes(bytes)),
  }))
}

function titleOf(options: unknown): string {
  const title = JSON.stringify(options ?? {})
  return title === '{}' ? DEFAULT : title
}

const DEFAULT = 'default options'

type Example = FormatDefinition['examples'][number]

function create(definition: FormatDefinition, { options, files = {} }: Example): Format {
  const read = readOptions(definition, options)
  if (Object.keys(files).length === 0) return definition.create(read)
  const folder = mkdtempSync(join(tmpdir(), 'sluice-format-'))
  const remove = () => rmSync(folder, { recursive: true })
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
  const { resolve: resolvePackage } = createRequire(import.meta.url)
  let format: Format
  try {
    format = definition.create(read, { resolvePath: (path) => resolve(folder, path), resolvePackage })
  } catch (error) {
    remove()
    throw error
  }
  if (format.ready === undefined) remove()
  else void format.ready.then(remove)
  return format
}

function readsOnlyItsSlice({ format, good }: Variant, random: Random): void {
  for (const frame of good) {
    for (let round = 0; round < 20; round++) {
      const before = random.bytes(random.int(0, 9))
      const bytes = Buffer.concat([before, frame, random.bytes(random.int(0, 9))])
      const copy = Buffer.from(bytes)
      const value = format.parse(bytes, before.length, before.length + frame.length)
      assert.deepEqual(value, format.parse(frame, 0, frame.length))
      assert.ok(bytes.equals(copy), 'parsing changed the bytes')
    }
  }
}

function survivesGarbage({ format, good, isDefault }: Variant, random: Random, frames: number): void {
  for (let round = 0; round < frames; round++) {
    const bytes = garbage(good, random)
    const copy = Buffer.from(bytes)
    const result = parse(format, bytes, 0, bytes.length)
    assert.ok(bytes.equals(copy), `parsing changed the bytes of "${formatBytes(copy)}"`)
    if (result === undefined) continue
    const printed = print(format, result.value, isDefault)
    if (printed === undefined) continue
    if (format.identity) assert.ok(printed.equals(bytes), `"${formatBytes(bytes)}" is printed otherwise`)
    assert.deepEqual(
      format.parse(printed, 0, printed.length),
      result.value,
      `"${formatBytes(bytes)}" changes its value`,
    )
  }
}

function acceptsOnlyWhatParses({ format, good }: Variant, random: Random, frames: number): void {
  if (format.acceptsAll === undefined) return
  for (let round = 0; round < frames / 4; round++) {
    const cut = cutAnywhere(Buffer.concat([garbage(good, random), random.pick(good), random.pick(good)]), random)
    if (!format.acceptsAll(cut)) continue
    for (let i = 0; i < cut.count; i++) format.parse(cut.bytes, cut.starts[i]!, cut.ends[i]!)
  }
}

function keepsValues({ format, good }: Variant, random: Random): void {
  const values = good.map((frame) => format.parse(frame, 0, frame.length))
  const before = structuredClone(values)
  for (let round = 0; round < 200; round++) {
    const bytes = garbage(good, random)
    parse(format, bytes, 0, bytes.length)
  }
  assert.deepEqual(structuredClone(values), before)
}

/** Random bytes, or a good frame with a few bytes cut, doubled, swapped or exchanged. */
function garbage(good: readonly Buffer[], random: Random): Buffer {
  const base = random.pick(good)
  if (base.length === 0 || random.int(0, 3) === 0) return random.bytes(random.int(0, 24))
  let bytes = Buffer.from(base)
  for (let change = random.int(0, 3); change > 0; change--) {
    const at = random.int(0, bytes.length)
    const kind = random.int(0, 3)
    if (kind === 0) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random.int(1, 4))])
    else if (kind === 1) bytes = Buffer.concat([bytes.subarray(0, at), random.bytes(1), bytes.subarray(at)])
    else if (kind === 2) bytes = Buffer.concat([bytes, bytes.subarray(at)])
    else if (at < bytes.length) bytes[at] = base[random.int(0, base.length - 1)]!
  }
  return bytes
}

/** Frames at random places of the bytes, in order, with or without bytes between them. */
function cutAnywhere(bytes: Buffer, random: Random): Frames {
  const frames = new Frames(bytes)
  let at = random.int(0, 2)
  while (at <= bytes.length && frames.count < 8) {
    const end = Math.min(bytes.length, at + random.int(0, 12))
    frames.push(at, end)
    at = end + random.int(0, 2)
  }
  return frames
}

/** @returns undefined when the frame was refused as it should be; anything else thrown fails the check */
function parse(format: Format, bytes: Buffer, start: number, end: number): { value: unknown } | undefined {
  try {
    return { value: format.parse(bytes, start, end) }
  } catch (error) {
    assert.ok(isFormatInvalid(error), `"${formatBytes(bytes)}" crashed the format: ${error}`)
    return undefined
  }
}

/** @returns undefined when the value cannot be printed and need not be */
function print(format: Format, value: unknown, must: boolean): Buffer | undefined {
  try {
    return toBuffer(format.print(value))
  } catch (error) {
    if (!must && isNotPrintable(error)) return undefined
    throw error
  }
}

function isNotPrintable(error: unknown): boolean {
  return error instanceof SluiceError && error.code === 'format_not_printable'
}

function isFormatInvalid(error: unknown): boolean {
  return error instanceof SluiceError && error.code === 'format_invalid'
}

function toBuffer(content: string | Buffer): Buffer {
  return typeof content === 'string' ? Buffer.from(content) : content
}
