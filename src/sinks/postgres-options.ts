import { checkPostgresAddress, postgresAddress } from '../brokers/postgres-address.ts'
import type { CheckContext, OptionProblem } from '../contracts/define.ts'
import { duration, expr, withoutProto, z } from '../contracts/schema.ts'
import { identifierProblem } from '../util/sql-identifier.ts'

function name(): z.ZodType<string, string> {
  return z.string().superRefine((text, context) => {
    const problem = identifierProblem(text)
    if (problem !== undefined) context.addIssue({ code: 'custom', message: `the name ${problem}` })
  })
}

/** PostgreSQL itself allows 1600 columns. */
const MAX_COLUMNS = 1600

export const postgresOptions = z.strictObject({
  ...postgresAddress,
  table: z
    .string()
    .superRefine((text, context) => {
      const problem = typeof parseTableName(text) === 'string' ? (parseTableName(text) as string) : undefined
      if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
    })
    .describe('Name of the table, or SCHEMA.TABLE. A name with a dot stands in double quotes.'),
  columns: withoutProto(
    z
      .record(name(), expr())
      .refine((entries) => Object.keys(entries).length > 0, 'name at least one column')
      .refine((entries) => Object.keys(entries).length <= MAX_COLUMNS, `expected at most ${MAX_COLUMNS} columns`),
  )
    .optional()
    .describe('Column names, each with an expression for its value. Default: the keys of the message.'),
  mode: z
    .enum(['insert', 'copy'])
    .default('insert')
    .describe(
      'How rows are sent: `insert`, or `copy`, which is faster and knows no `onConflict`. Either way a batch is one transaction. Default: insert.',
    ),
  onConflict: z
    .enum(['error', 'ignore', 'update'])
    .default('error')
    .describe(
      'What becomes of a row that a UNIQUE rule refuses: its message fails (`error`), the row that is there stays (`ignore`), or it gets the new values (`update`). Default: error.',
    ),
  conflict: z
    .array(name())
    .min(1)
    .optional()
    .describe(
      'The columns of the UNIQUE rule that `onConflict` is about. Needed for `update`; without it `ignore` is about all rules.',
    ),
  durable: z
    .boolean()
    .default(true)
    .describe(
      'Ask the server for commits that survive a power cut, also where its synchronous_commit is off. With false the setting of the server holds. Default: true.',
    ),
  timeout: duration()
    .prefault('10s')
    .describe('How long a batch may take, connecting and waiting for locks included. Default: 10s.'),
})

export type PostgresOptions = z.output<typeof postgresOptions>

/** Mistakes that need a look at several options. What it says holds nothing of the url. */
export function checkPostgresOptions(options: PostgresOptions, context: CheckContext): OptionProblem[] {
  const problems = checkPostgresAddress(options, context)
  const { mode, onConflict, conflict, columns } = options
  if (mode === 'copy' && onConflict !== 'error') {
    const message = `mode: copy cannot do onConflict: ${onConflict}`
    problems.push({ path: ['onConflict'], message, hint: 'take out mode: copy' })
  }
  if (onConflict === 'update' && conflict === undefined) {
    const hint = 'add conflict: [id], with the columns of the PRIMARY KEY or UNIQUE rule'
    problems.push({ path: ['onConflict'], message: 'onConflict: update needs conflict', hint })
  }
  if (onConflict === 'error' && conflict !== undefined) {
    const hint = 'write onConflict: ignore, or onConflict: update'
    problems.push({ path: ['conflict'], message: 'conflict is of no use with onConflict: error', hint })
  }
  const missing = columns === undefined ? undefined : conflict?.find((one) => !Object.hasOwn(columns, one))
  if (missing !== undefined) {
    problems.push({ path: ['conflict'], message: `conflict names ${missing}, which is not among columns` })
  }
  return problems
}

/** A table as it is named in a statement. */
export interface TableName {
  readonly schema: string | undefined
  readonly table: string
}

/** Reads `table`, `schema.table` or `"with.dot"`. @returns what is wrong with it, as a clause, when it is no name */
export function parseTableName(text: string): TableName | string {
  const parts = [...text.matchAll(/(?:^|\.)(?:"((?:[^"]|"")+)"|([^".]+))(?=\.|$)/g)]
  const names = parts.map(([, quoted, bare]) => quoted?.replaceAll('""', '"') ?? bare!)
  if (text.startsWith('.') || names.length < 1 || names.length > 2 || parts.map(([all]) => all).join('') !== text) {
    return 'the name must be TABLE or SCHEMA.TABLE; put a name with a dot in double quotes'
  }
  const problem = names.map(identifierProblem).find((one) => one !== undefined)
  if (problem !== undefined) return `the name ${problem}`
  return names.length === 1 ? { schema: undefined, table: names[0]! } : { schema: names[0]!, table: names[1]! }
}
