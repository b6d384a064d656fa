import { defineFraming, type FramingDefinition, type FramingExample } from '../contracts/define.ts'
import { z } from '../contracts/schema.ts'
import { type Limits, limitOptions, limitsInWords } from './limits.ts'

interface Preset<Name extends string> {
  readonly name: Name
  readonly summary: string
  readonly details: string
  /** The options that it stands for, as a user would write them. They may have limits, which the user's own replace. */
  readonly options: Readonly<Record<string, unknown>>
  readonly examples: readonly FramingExample[]
  readonly alsoCalled?: readonly string[]
}

/** Only the limits can be set. */
export type PresetOptions = z.ZodType<Limits, { maxLength?: string | number; whenTooLong?: Limits['whenTooLong'] }>

/**
 * Declares a framing that is another one with options that are known for a protocol. It has no code of its own: what it
 * stands for is shown on its page and by `sluice check`.
 */
export function definePreset<const Name extends string>(
  base: FramingDefinition,
  { options: fixed, details, ...preset }: Preset<Name>,
): FramingDefinition<Name, PresetOptions, never> {
  const stands = `${base.name}${Object.keys(fixed).length === 0 ? '' : `: ${written(fixed)}`}`
  return defineFraming<Name, PresetOptions, never>({
    ...preset,
    details: `${details}\n\nIt stands for \`${stands}\`. To change more than its limits, write that.`,
    options: z.strictObject(limitOptions()) as unknown as PresetOptions,
    inWords: (limits) => `which is ${stands}${limitsInWords(limits)}`,
    create: (limits) => base.create({ ...(base.options.parse(fixed) as object), ...given(limits) }),
  })
}

function given({ maxLength, whenTooLong }: Limits): Limits {
  return { ...(maxLength !== undefined && { maxLength }), ...(whenTooLong !== undefined && { whenTooLong }) }
}

/** As YAML: `{ start: "\x02", end: "\x03" }`. Texts are bytes with escapes, in which nothing else needs one. */
function written(options: Readonly<Record<string, unknown>>): string {
  const entries = Object.entries(options).map(
    ([key, value]) => `${key}: ${typeof value === 'string' ? `"${value}"` : value}`,
  )
  return `{ ${entries.join(', ')} }`
}
