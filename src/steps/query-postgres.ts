import type { Client } from 'pg'
import { hostOf, postgresAddress, readTarget } from '../brokers/postgres-address.ts'
import { isAboutTable, messageOf, passingError, sqlStateOf } from '../brokers/postgres-errors.ts'
import { type PostgresPool, sharePool } from '../brokers/postgres-pool.ts'
import { type ColumnKind, toColumnText } from '../brokers/postgres-values.ts'
import type { PartContext, Shared } from '../contracts/context.ts'
import { SluiceError } from '../contracts/errors.ts'
import { duration, z } from '../contracts/schema.ts'
import type { AskedDatabase, Row } from './query-each.ts'
import { describeParameters, fetchRows } from './query-postgres-rows.ts'

/** What `postgres:` of a query may hold. */
export const postgresSource = z.strictObject({
  ...postgresAddress,
  maxConnections: z
    .int()
    .min(1)
    .max(100)
    .default(4)
    .describe(
      'Most connections, and so questions at a time; the others wait their turn. With several `workers`, of each. Default: 4.',
    ),
  timeout: duration()
    .prefault('10s')
    .describe('How long a question may take, waiting its turn and connecting included. Default: 10s.'),
})

type PostgresSource = z.output<typeof postgresSource>

/** What is asked, for people. */
export function describeDatabase(source: PostgresSource): string {
  const target = readTarget(source)
  return 'message' in target ? 'PostgreSQL' : `${target.database} at ${hostOf(target)}`
}

/**
 * Connects to a PostgreSQL database to ask it.
 * @param limit most rows of an answer
 * @throws SluiceError `query_failed` when a person has to correct something; a server that cannot be reached is a warning
 */
export async function openPostgres(
  source: PostgresSource,
  { sql, limit }: Question,
  context: PartContext,
): Promise<AskedDatabase> {
  const { timeout, maxConnections } = source
  const shared = await sharePool(source, { timeout, maxConnections, session: 'readOnly' }, context)
  const database = new PostgresDatabase(shared, { sql, limit }, context, maxConnections)
  try {
    await database.start()
  } catch (thrown) {
    await database.close()
    throw thrown
  }
  return database
}

interface Question {
  readonly sql: string
  readonly limit: number
}

class PostgresDatabase implements AskedDatabase {
  readonly width: number
  readonly #shared: Shared<PostgresPool>
  readonly #question: Question
  readonly #context: PartContext
  /** What the parameters are, once the server has said it, and when it has: {@link Clock.elapsed}. */
  #described: { readonly kinds: readonly ColumnKind[]; readonly at: number } | undefined = undefined
  readonly #abort = (): void => this.#shared.value.abort()

  constructor(shared: Shared<PostgresPool>, question: Question, context: PartContext, width: number) {
    this.width = width
    this.#shared = shared
    this.#question = question
    this.#context = context
    context.signal.addEventListener('abort', this.#abort)
  }

  /** Has the server look at the statement and at our rights. */
  async start(): Promise<void> {
    const { sql } = this.#question
    const pool = this.#shared.value
    try {
      await pool.use(async (client) => {
        const kinds = await this.#describe(client)
        await client.query({ text: `EXPLAIN ${sql}`, values: kinds.map(() => null) }).catch((thrown: unknown) => {
          // What the server would say of NULL as a parameter says nothing of the statement.
          if (sqlStateOf(thrown)?.startsWith('42')) throw thrown
        })
      })
    } catch (thrown) {
      const error = toQueryError(thrown, pool.where)
      if (!error.retryable) throw error
      this.#context.log('warn', `${error.message}; it will be asked when it can be reached`)
    }
  }

  async ask(params: readonly unknown[]): Promise<readonly Row[]> {
    const { sql, limit } = this.#question
    const pool = this.#shared.value
    try {
      return await pool.use(async (client) => {
        const kinds = this.#described?.kinds ?? (await this.#describe(client))
        const values = params.map((value, i) => toColumnText(value, kinds[i]!))
        return fetchRows(client, sql, values, limit)
      })
    } catch (thrown) {
      const error = toQueryError(thrown, pool.where)
      if (!error.retryable) this.#doubt(isAboutTable(thrown))
      throw error
    }
  }

  isDown({ retryable, cause }: SluiceError): boolean {
    const state = sqlStateOf(cause)
    return state === undefined ? retryable : LETS_NOBODY_IN.test(state)
  }

  async #describe(client: Client): Promise<readonly ColumnKind[]> {
    const kinds = await describeParameters(client, this.#question.sql)
    this.#described = { kinds, at: this.#context.clock.elapsed() }
    return kinds
  }

  /** The tables may have changed since the server has said what the parameters are; values that do not fit need not mean it. */
  #doubt(isCertain: boolean): void {
    const since = this.#context.clock.elapsed() - (this.#described?.at ?? 0)
    if (isCertain || since >= REREAD_MS) this.#described = undefined
  }

  close(): Promise<void> {
    this.#context.signal.removeEventListener('abort', this.#abort)
    return this.#shared.release()
  }
}

function toQueryError(thrown: unknown, where: string): SluiceError {
  const state = sqlStateOf(thrown)
  if (state === READ_ONLY) {
    const hint = 'A query only reads; to store something, use the sink postgres.'
    return new SluiceError('query_failed', `the statement would change something: ${messageOf(thrown)}`, {
      cause: thrown,
      hint,
    })
  }
  const known = thrown instanceof SluiceError ? thrown : passingError(thrown, where)
  if (known !== undefined) {
    const { message, retryable, hint, cause } = known
    return new SluiceError('query_failed', message, { cause, retryable, ...(hint !== undefined && { hint }) })
  }
  const hint = HINTS[state!]
  const text = `the database refuses the query: ${messageOf(thrown)}`
  return new SluiceError('query_failed', text, { cause: thrown, ...(hint !== undefined && { hint }) })
}

/** The server ends, begins, has no connection left, or takes no user like us: that is no matter of the question. */
const LETS_NOBODY_IN = /^(?:08|28|3D|53|57P)/

/** How long it holds what the parameters are, for values that do not fit. */
const REREAD_MS = 10_000

/** `read_only_sql_transaction`: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const READ_ONLY = '25006'

const HINTS: Readonly<Record<string, string>> = {
  '42501': 'GRANT SELECT on the table to the user.',
  '42P01': 'Correct its name, or write SCHEMA.TABLE.',
  '42P18': 'Say what it is: $1::text.',
  '22P02': 'Say in the statement what the parameter is, such as $1::text, or filter such messages before.',
}
