import { createRegistry } from '../registry/builtins.ts'
import { createJsonSchema, type JsonSchema } from '../registry/json-schema.ts'
import { configSchema } from './schema.ts'
import { subscribeSchema } from './schema-sources.ts'
import { siblingsSchema } from './schema-step.ts'

/** The JSON Schema of a configuration with the built-in parts, for editors. */
export function createEditorSchema(): JsonSchema {
  return createJsonSchema(createRegistry(), {
    config: configSchema,
    siblings: siblingsSchema,
    subscribe: subscribeSchema,
  })
}
