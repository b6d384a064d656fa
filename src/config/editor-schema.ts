import { createRegistry } from '../registry/builtins.ts'
import { createJsonSchema, type JsonSchema } from '../registry/json-schema.ts'
import { configSchema, siblingsSchema, subscribeSchema } from './schema.ts'

/** The JSON Schema of a configuration with the built-in parts, for editors. */
export function createEditorSchema(): JsonSchema {
  return createJsonSchema(createRegistry(), {
    config: configSchema,
    siblings: siblingsSchema,
    subscribe: subscribeSchema,
  })
}
