import assert from 'node:assert/strict'
import type { FramingDefinition } from '../contracts/define.ts'
import type { Framing } from '../contracts/framing.ts'
import { z } from '../contracts/schema.ts'
import { parseBytes } from '../util/escapes.ts'
import type { Check } from './check.ts'
import { definitionSuite, withoutShortForm } from './definition-suite.ts'
import {
  boundsItsMemory,
  copesWithGarbage,
  type FramingSubject,
  findsManyAsOne,
  givesItsFrames,
  givesTheSameForEverySplit,
  givesTheSameForRandomSplits,
  goesOnBehindLongFrames,
  keepsEarlierFrames,
  passesOverForEverySplit,
  readsLongFramesInLinearTime,
  readsWhatItWrites,
  refusesOversize,
  tellsAnEndInMidFrame,
  writesManyAsOne,
} from './framing-checks.ts'
import { createRandom } from './random.ts'

export interface FramingSuiteOptions {
  /** How many random streams are decoded at least, over all examples. Default 2000. */
  readonly decodes?: number
  /** Where the random streams begin; another seed gives others. Default 1. */
  readonly seed?: number
  /** Frames are cut where reads end, as in `raw`: the bytes are compared, not where they were cut. Default false. */
  readonly cutByReads?: boolean
  /** Whether writing may change a payload with these options of an example, by padding it say. Default: it may not. */
  readonly rewrites?: (options: unknown) => boolean
}

/**
 * The checks that every framing passes, fed by its definition and run for each of its examples. They need no network
 * and no test runner:
 *
 * ```ts
 * for (const check of framingSuite(myFraming)) test(check.name, check.run)
 * ```
 */
export function framingSuite(definition: FramingDefinition, options: FramingSuiteOptions = {}): Check[] {
  const { decodes = 2000, seed = 1 } = options
  const rounds = Math.ceil(decodes / RANDOM.length / Math.max(1, definition.examples.length))
  const subjects = definition.examples.map(
    (example) => (): FramingSubject => ({
      framing: create(definition, example.options)!,
      limitedTo: (maxLength) => create(definition, example.options, { maxLength })!,
      withPolicy: memoize((whenTooLong, maxLength) => create(definition, example.options, { maxLength, whenTooLong })),
      stream: parseBytes(example.bytes),
      frames: example.frames.map(parseBytes),
      cutByReads: options.cutByReads ?? false,
      rewrites: options.rewrites?.(example.options) ?? false,
      random: createRandom(seed),
    }),
  )
  return [
    ...definitionSuite(definition),
    { name: 'there is at least one example', run: () => assert.ok(definition.examples.length > 0) },
    { name: 'defaults are valid', run: () => checkDefaults(definition.options) },
    { name: 'maxLength is an option', run: () => assert.ok(hasMaxLength(definition.options)) },
    ...subjects.flatMap((subject, i) => [
      ...ONCE.map(([name, run]) => ({ name: `${name}: ${definition.examples[i]!.title}`, run: () => run(subject()) })),
      ...RANDOM.map(([name, run]) => ({
        name: `${name}: ${definition.examples[i]!.title}`,
        random: true,
        run() {
          const one = subject()
          for (let round = 0; round < rounds; round++) run(one)
        },
      })),
    ]),
  ]
}

type NamedCheck = readonly [name: string, run: (subject: FramingSubject) => void]

const ONCE: readonly NamedCheck[] = [
  ['the example gives its frames', givesItsFrames],
  ['every split point and single bytes give the same frames', givesTheSameForEverySplit],
  ['a frame above the limit is refused', refusesOversize],
  ['behind a frame that is too long reading goes on as whenTooLong says', goesOnBehindLongFrames],
  ['what is unread stays within the limit', boundsItsMemory],
  ['an end in mid-frame is told and nothing is left', tellsAnEndInMidFrame],
  ['a long frame in single bytes costs linear work', readsLongFramesInLinearTime],
]

/** Run often; each run decodes one random stream at least. */
const RANDOM: readonly NamedCheck[] = [
  ['random streams in random splits give the same frames', givesTheSameForRandomSplits],
  ['what is too long is passed over in the same way for random splits', passesOverForEverySplit],
  ['many frames at one go are those found one by one', findsManyAsOne],
  ['what is written is read back', readsWhatItWrites],
  ['garbage neither crashes nor hangs and all of it is accounted for', copesWithGarbage],
  ['later reads never change earlier frames', keepsEarlierFrames],
  ['encodeFrames writes what encode writes', writesManyAsOne],
]

/** @returns undefined when these limits cannot be given with these options */
function create(definition: FramingDefinition, given: unknown, limits: object = {}): Framing | undefined {
  const read = definition.options.safeParse({ ...withoutShortForm(definition, given), ...limits })
  return read.success ? definition.create(read.data) : undefined
}

/** Making a framing may cost far more than a short stream. */
function memoize(make: FramingSubject['withPolicy']): FramingSubject['withPolicy'] {
  const made = new Map<string, Framing | undefined>()
  return (whenTooLong, maxLength) => {
    const key = `${whenTooLong} ${maxLength}`
    if (!made.has(key)) made.set(key, make(whenTooLong, maxLength))
    return made.get(key)
  }
}

function hasMaxLength(options: z.ZodType): boolean {
  return options instanceof z.ZodObject && Object.hasOwn(options.shape, 'maxLength')
}

function checkDefaults(options: z.ZodType): void {
  if (!(options instanceof z.ZodObject)) return
  for (const [name, schema] of Object.entries(options.shape)) {
    if (!(schema instanceof z.ZodDefault)) continue
    const inner = schema.unwrap() as z.ZodType
    assert.ok(inner.safeParse(schema.def.defaultValue).success, `the default of ${name} is not valid`)
  }
}
