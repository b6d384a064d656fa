import assert from 'node:assert/strict'
import type { PartDefinition } from '../contracts/define.ts'
import { z } from '../contracts/schema.ts'
import type { Check } from './check.ts'

/** What holds for the definition of any part, whatever its kind: its names, its sentences and its options. */
export function definitionSuite(definition: PartDefinition): Check[] {
  const { name, summary, options, short } = definition
  return [
    {
      name: 'the name is in kebab-case or camelCase',
      run: () => assert.match(name, /^[a-z][a-z0-9]*(?:(?:-[a-z0-9]+)*|(?:[A-Z][a-z0-9]*)*)$/),
    },
    {
      name: 'the summary is a sentence',
      run() {
        assert.match(summary, /^[A-Z][^\n]*\.$/)
      },
    },
    {
      name: 'the options are strict',
      run() {
        assert.ok(options instanceof z.ZodObject, 'the options are no z.strictObject')
        assert.ok(options.def.catchall instanceof z.ZodNever, 'unknown keys are not refused: use z.strictObject')
      },
    },
    {
      name: 'every option is described',
      run() {
        for (const [key, schema] of Object.entries(shapeOf(options))) {
          assert.match(
            describe(schema) ?? '',
            /\S.*\.$/s,
            `the option ${key} has no description that ends with a full stop`,
          )
        }
      },
    },
    {
      name: 'the short form stands for an option',
      run: () =>
        assert.ok(short === undefined || Object.hasOwn(shapeOf(options), short), `there is no option ${short}`),
    },
  ]
}

/**
 * The options of a part as its `create` receives them.
 * @param given as a user would write them: absent, a scalar or a list for the short form, or a mapping
 */
export function readOptions(definition: PartDefinition, given: unknown): unknown {
  const { options, short } = definition
  const isShort = short !== undefined && given !== undefined && (typeof given !== 'object' || Array.isArray(given))
  return options.parse(isShort ? { [short]: given } : (given ?? {}))
}

function shapeOf(options: z.ZodType): Readonly<Record<string, z.ZodType>> {
  return options instanceof z.ZodObject ? (options.shape as Record<string, z.ZodType>) : {}
}

/** The description of a schema or of what it wraps. */
function describe(schema: z.ZodType): string | undefined {
  if (schema.description !== undefined) return schema.description
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return describe(schema.unwrap() as z.ZodType)
  }
  return undefined
}
