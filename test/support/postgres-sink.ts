import type { PartContext } from '../../src/contracts/context.ts'
import type { Expression } from '../../src/contracts/schema.ts'
import type { Sink } from '../../src/contracts/sink.ts'
import { withMerging } from '../../src/delivery/merging.ts'
import { postgres } from '../../src/sinks/postgres.ts'
import { createTestContext } from '../../src/testing/part-context.ts'

/** Options as a user would write them, but with columns as the sink gets them. */
export type Given = Record<string, unknown> & { readonly columns?: Readonly<Record<string, Expression>> }

/** The sink alone, without what joins writes and tries messages apart. Its table is `t` unless told otherwise. */
export async function openBare(
  { columns, ...given }: Given,
  context: PartContext = createTestContext(),
): Promise<Sink> {
  const options = postgres.options.parse({ table: 't', ...given })
  return await postgres.create({ ...options, columns }, context)
}

/** The sink as it stands in a server. */
export async function openMerged(given: Given, context?: PartContext): Promise<Sink> {
  return withMerging(await openBare(given, context), { maxBatch: 500, maxWait: 0, maxInFlight: 4 })
}
