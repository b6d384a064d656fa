import { type CheckContext, defineStep } from '../contracts/define.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import { expr, withoutProto, z } from '../contracts/schema.ts'
import { isPlainObject } from '../util/plain-object.ts'
import { type CompiledSchema, compileSchema, formatNames } from './json-schema.ts'
import { readGivenFile } from './text-file.ts'

const options = z
  .strictObject({
    schema: withoutProto(z.record(z.string(), z.unknown())).optional().describe('The JSON Schema itself.'),
    file: z
      .string()
      .min(1)
      .optional()
      .describe("Path of a file with the JSON Schema. A relative path starts at the configuration's folder."),
    from: expr().optional().describe('What is validated: an expression. Default msg.'),
  })
  .refine(({ schema, file }) => (schema === undefined) !== (file === undefined), 'give schema or file')

/** Lets messages pass that a JSON Schema allows. */
export const validate = defineStep({
  name: 'validate',
  summary: 'Fails messages that a JSON Schema does not allow; the others go on unchanged.',
  details: [
    'The error names each place that is wrong, as a JSON Pointer: `/kg must be number; /id must be string`. It names ten at ' +
      'most, and of a message above 64 KiB the first. To do something with such a message, write an `onError`; to drop it ' +
      'silently, `onError: []`.',
    'Schemas are of the draft 2020-12, or of draft-07 where their `$schema` says so. A schema with a mistake, also one with ' +
      'a keyword or a format that is unknown, stops `sluice check` and the start. ' +
      `\`format\` is checked: ${formatNames.map((name) => `\`${name}\``).join(', ')}. Patterns have the syntax of RE2, without ` +
      'look-around, and run in linear time. A `$ref` leads to places in the same schema alone. Nothing is changed in a ' +
      'message: a `default` is not filled in.',
  ].join('\n\n'),
  options,
  short: 'file',
  alsoCalled: ['schema', 'jsonschema', 'json-schema', 'assert', 'check'],
  examples: [
    {
      title: 'A schema in the configuration',
      config: {
        validate: {
          schema: { type: 'object', required: ['id'], properties: { kg: { type: 'number', minimum: 0 } } },
        },
        onError: [{ reply: '${error.message}' }],
      },
      given: [{ id: 'A7', kg: 2 }, { kg: -1 }],
      gives: [{ id: 'A7', kg: 2 }],
      replies: ["validate: the value must have required property 'id'; /kg must be >= 0"],
    },
    {
      title: 'A schema in a file',
      config: { validate: 'reading.schema.json' },
      files: { 'reading.schema.json': '{ "properties": { "at": { "type": "string", "format": "date-time" } } }' },
      given: [{ at: '2026-01-31T12:00:00Z' }, { at: 'noon' }],
      gives: [{ at: '2026-01-31T12:00:00Z' }],
    },
  ],
  check(given, context) {
    const found = load(given, context)
    return Array.isArray(found) ? found : []
  },
  create(given, context) {
    const found = load(given, context)
    if (Array.isArray(found)) throw new SluiceError('step_failed', found[0]!.message)
    const { from } = given
    return {
      run(message) {
        const value = from === undefined ? message.msg : from(message)
        if (found.isValid(value)) return message
        const problems = found.problems(value, message.raw.length <= LARGE)
        const more = problems.length - MAX_PROBLEMS
        const told = problems.slice(0, MAX_PROBLEMS).join('; ')
        throw new SluiceError('step_failed', `validate: ${told}${more > 0 ? `; and ${more} more` : ''}`)
      },
    }
  },
})

const MAX_PROBLEMS = 10

/** Bytes of a frame above which only the first mistake is looked for: a list of a million wrong items has a million. */
const LARGE = 64 * 1024

interface Given {
  readonly schema?: Readonly<Record<string, unknown>> | undefined
  readonly file?: string | undefined
}

interface Problem {
  readonly path: readonly (string | number)[]
  readonly message: string
}

function load({ schema, file }: Given, { resolvePath }: CheckContext): CompiledSchema | Problem[] {
  if (file === undefined) {
    const found = compileSchema(schema!)
    return Array.isArray(found) ? found.map(({ path, message }) => ({ path: ['schema', ...path], message })) : found
  }
  const wrong = (message: string): Problem[] => [{ path: ['file'], message }]
  try {
    const parsed: unknown = JSON.parse(readGivenFile(resolvePath(file)).toString())
    if (!isPlainObject(parsed)) return wrong(`${file} holds no JSON Schema, which is an object`)
    const found = compileSchema(parsed)
    if (!Array.isArray(found)) return found
    return found.flatMap(({ path, message }) =>
      wrong(`${file}: ${path.length === 0 ? '' : `/${path.join('/')}: `}${message}`),
    )
  } catch (thrown) {
    const { message } = toSluiceError(thrown)
    return wrong(thrown instanceof SyntaxError ? `${file} is no JSON: ${message}` : message)
  }
}
