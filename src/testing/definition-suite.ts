import assert from 'node:assert/strict'
import type { PartDefinition } from '../contracts/define.ts'
import { z } from '../contracts/schema.ts'
import { describeOptions, type OptionsSchema, resolveRef } from '../registry/options-schema.ts'
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
      name: 'unknown options are refused, and every option is described',
      run() {
        const described = describeOptions(options)
        if (described.properties === undefined) assertDescribed('the options', described)
        checkOptions('', described, described.$defs, new Set())
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
  return definition.options.parse(withoutShortForm(definition, given))
}

/** The options at length, not yet read. */
export function withoutShortForm({ short }: PartDefinition, given: unknown): object {
  const isShort = short !== undefined && given !== undefined && (typeof given !== 'object' || Array.isArray(given))
  return isShort ? { [short]: given } : ((given as object | undefined) ?? {})
}

function shapeOf(options: z.ZodType): Readonly<Record<string, z.ZodType>> {
  return options instanceof z.ZodObject ? (options.shape as Record<string, z.ZodType>) : {}
}

/**
 * Looks at a mapping and at everything inside it.
 * @param path '' for the options themselves, else such as `to.client`
 * @param $defs what a `$ref` names; each is looked at once, and kept in `seen`
 */
function checkOptions(path: string, given: OptionsSchema, $defs: OptionsSchema['$defs'], seen: Set<string>): void {
  if (given.$ref !== undefined && seen.has(given.$ref)) return
  if (given.$ref !== undefined) seen.add(given.$ref)
  const schema = resolveRef(given, $defs)
  const check = (place: string, inner: OptionsSchema) => checkOptions(place, inner, $defs, seen)
  if (schema.properties !== undefined) {
    assert.equal(
      schema.additionalProperties,
      false,
      `${path || 'options'}: unknown keys are not refused: use z.strictObject`,
    )
  }
  for (const [key, option] of Object.entries(schema.properties ?? {})) {
    const place = path === '' ? key : `${path}.${key}`
    assertDescribed(`the option ${place}`, resolveRef(option, $defs))
    check(place, option)
  }
  for (const alternative of schema.anyOf ?? []) check(path, alternative)
  if (schema.items !== undefined) check(`${path}[]`, schema.items)
  if (typeof schema.additionalProperties === 'object') check(`${path}.NAME`, schema.additionalProperties)
}

function assertDescribed(what: string, { description }: OptionsSchema): void {
  assert.match(description ?? '', /\S.*\.$/s, `${what}: there is no description that ends with a full stop`)
}
