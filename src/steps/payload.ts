import type { PayloadKind } from '../contracts/client.ts'
import { bytesTemplate, type Expression, expr, template, type z } from '../contracts/schema.ts'

/** The options with which `reply` and `send` say what leaves: exactly one of them. */
export const payloadOptions = {
  text: template({ escapes: true })
    .optional()
    .describe(
      'A text with `${…}`. It is framed, and not formatted: `OK ${msg.id}` leaves as `OK 7` on a JSON endpoint too.',
    ),
  value: expr().optional().describe("An expression. Its value is written in the endpoint's format and framed."),
  raw: bytesTemplate()
    .optional()
    .describe(
      'Bytes with escapes and `${…}`, such as `"\\x06"`. They leave as they are, neither formatted nor framed.',
    ),
}

/** {@link payloadOptions} as a part receives them. */
export interface PayloadChoice {
  readonly text?: Expression | undefined
  readonly value?: Expression | undefined
  readonly raw?: Expression | undefined
}

/** What leaves for a message. */
export interface Payload {
  readonly kind: PayloadKind
  readonly content: Expression
}

/** Whether anything leaves, where that is not a must. */
export function hasPayload(options: PayloadChoice): boolean {
  return KINDS.some((kind) => options[kind] !== undefined)
}

/** Reports a choice that is not exactly one. For `superRefine`. */
export function requireOnePayload(options: PayloadChoice, context: z.core.$RefinementCtx): void {
  requireOne(options, KINDS, context)
}

/** Reports when not exactly one of some options is given. */
export function requireOne<Name extends string>(
  options: { readonly [name in Name]?: unknown },
  names: readonly Name[],
  context: z.core.$RefinementCtx,
): void {
  const given = names.filter((name) => options[name] !== undefined)
  if (given.length === 1) return
  const all = `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
  const message = given.length === 0 ? `one of ${all} is needed` : `only one of ${given.join(' and ')}`
  context.addIssue({ code: 'custom', message })
}

/** The one choice that was made; {@link requireOnePayload} has seen to it that there is one. */
export function payloadOf(options: PayloadChoice): Payload {
  const kind = KINDS.find((candidate) => options[candidate] !== undefined)!
  return { kind, content: options[kind]! }
}

const KINDS = ['text', 'value', 'raw'] as const satisfies readonly PayloadKind[]
