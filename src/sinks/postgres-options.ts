import { checkTls, tlsMapping } from '../brokers/client-tls.ts'
import type { CheckContext, OptionProblem } from '../contracts/define.ts'
import { duration, expr, secret, withoutProto, z } from '../contracts/schema.ts'
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
  url: secret()
    .optional()
    .describe(
      'Where the database is, `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, instead of host, port, database, user and password. ' +
        '`?sslmode=require` or `verify-full` is `tls: true`.',
    ),
  host: z
    .string()
    .min(1)
    .optional()
    .describe('Name or address of the server, or the folder of its Unix socket. Default: localhost.'),
  port: z.int().min(1).max(65_535).optional().describe('Port of the server. Default: 5432.'),
  database: z.string().min(1).optional().describe('Name of the database. Default: that of the user.'),
  user: z.string().min(1).optional().describe('Who we are. Needed unless the url says it.'),
  password: secret().optional().describe('Password of the user. Default: none.'),
  tls: z
    .union([z.boolean(), tlsMapping])
    .optional()
    .describe('Encrypt the connection: true, or a mapping that says whom to trust. Default: false.'),
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

/** Where the database is and who we are; nothing of it comes from the environment. */
export interface Target {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password: string
  readonly tls: PostgresOptions['tls'] | undefined
}

/** Mistakes that need a look at several options. What it says holds nothing of the url. */
export function checkPostgresOptions(options: PostgresOptions, context: CheckContext): OptionProblem[] {
  const problems = checkTls(options.tls ?? false, context)
  const target = readTarget(options)
  if ('message' in target) problems.push(target)
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

/** Where to connect to, from the url or the single options. */
export function readTarget(options: PostgresOptions): Target | OptionProblem {
  const { url, host, port, database, user, password, tls } = options
  if (url === undefined) {
    if (user === undefined) return { path: [], message: 'user is missing, or url' }
    const rest = { host: host ?? 'localhost', port: port ?? 5432, password: password ?? '', tls }
    return { ...rest, user, database: database ?? user }
  }
  const also = Object.entries({ host, port, database, user, password }).find(([, value]) => value !== undefined)
  if (also !== undefined) return { path: [also[0]], message: `give url or ${also[0]}, and not both` }
  return readUrl(url, tls)
}

function readUrl(text: string, tls: PostgresOptions['tls']): Target | OptionProblem {
  const wrong = (message: string): OptionProblem => {
    return { path: ['url'], message, hint: 'write postgres://USER:PASSWORD@HOST:PORT/DATABASE' }
  }
  const url = URL.parse(text)
  if (url === null || !/^postgres(?:ql)?:$/.test(url.protocol)) return wrong('the url is not one of PostgreSQL')
  const unknown = [...url.searchParams.keys()].find((key) => key !== 'sslmode' && key !== 'host')
  if (unknown !== undefined) return wrong('the url has parameters besides sslmode and host')
  const mode = url.searchParams.get('sslmode')
  if (mode !== null && !['disable', 'require', 'verify-full'].includes(mode)) {
    return wrong('sslmode in the url must be disable, require or verify-full; for more write tls: { … }')
  }
  try {
    const user = decodeURIComponent(url.username)
    if (user === '') return wrong('the url names no user')
    const host = url.searchParams.get('host') ?? decodeURIComponent(url.hostname).replace(/^\[(.+)\]$/, '$1')
    return {
      host: host === '' ? 'localhost' : host,
      port: url.port === '' ? 5432 : Number(url.port),
      database: decodeURIComponent(url.pathname.slice(1)) || user,
      user,
      password: decodeURIComponent(url.password),
      tls: tls ?? (mode === null ? undefined : mode !== 'disable'),
    }
  } catch {
    return wrong('the url has a % that is not followed by two hexadecimal digits; write %25 for the character itself')
  }
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
