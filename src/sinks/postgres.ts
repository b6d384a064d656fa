import type { Client } from 'pg'
import { isAboutTable } from '../brokers/postgres-errors.ts'
import type { ServerFacts } from '../brokers/postgres-lease.ts'
import { type PostgresPool, sharePool } from '../brokers/postgres-pool.ts'
import type { Batch } from '../contracts/batch.ts'
import type { PartContext, Shared } from '../contracts/context.ts'
import { defineSink } from '../contracts/define.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import type { Outcomes, Sink } from '../contracts/sink.ts'
import { OpenWrites } from './open-writes.ts'
import { toDeliveryError } from './postgres-errors.ts'
import { checkPostgresOptions, type PostgresOptions, postgresOptions } from './postgres-options.ts'
import { type RowRun, TableWriter } from './postgres-writer.ts'

/** Stores messages in a PostgreSQL database. */
export const postgres = defineSink({
  name: 'postgres',
  summary: 'Stores each message as a row of a PostgreSQL table.',
  details: [
    'Needs the package `pg` (`npm install pg`). Rows of many connections go into one statement, which is one transaction; ' +
      'a row that the table refuses fails alone, as it is then tried apart from the others.',
    'The table is looked at when Sluice starts: a table, column, UNIQUE rule or right that is missing stops the start, and so ' +
      'do wrong credentials. A server that cannot be reached does not: rows wait for it as `retry` says. Where a column is ' +
      'added later, or its type changed, the sink finds out by itself.',
    'Without `columns:` the keys of the message are the columns, and columns that it does not name get their DEFAULT; a key ' +
      'that the table lacks fails the message. A message that is no object goes into the columns `received`, `client` and `msg`.',
    'A value is written in the text form that the type of its column has, and read by the server: 1.5 is refused by an integer ' +
      'column, a long text by varchar(5). Only what the type itself rounds is rounded, as numeric(10,2) and date do. Times are written with their zone, UTC. In a `json` or `jsonb` column any value is stored ' +
      'as JSON, a text as a JSON text; write `parseJson(…)` for a text that holds JSON. Lists go into array columns, ' +
      'lists and objects into a text column as JSON, bytes into `bytea` only.',
    'When a connection breaks before the server has confirmed, the batch may have been committed and is sent again: at most ' +
      '`maxBatch` × `maxInFlight` rows. To have each row once, store the key of the message in a column with a UNIQUE rule ' +
      '(`columns: { key: key, … }`) and write `onConflict: ignore`.',
    'Behind PgBouncer use its session pooling, or one that knows prepared statements.',
  ].join('\n\n'),
  alsoCalled: ['postgresql', 'pg', 'timescaledb', 'sql'],
  options: postgresOptions,
  examples: [
    {
      title: 'One column for each key',
      config: {
        postgres: {
          host: 'db.local',
          database: 'plant',
          user: 'sluice',
          password: '${env.DB_PASSWORD}',
          table: 'readings',
        },
      },
    },
    {
      title: 'Chosen columns, each message once',
      config: {
        postgres: {
          url: '${env.DATABASE_URL}',
          table: 'plant.readings',
          columns: { key: 'key', device: 'msg.device', temp: 'msg.temp', at: 'received' },
          onConflict: 'ignore',
          conflict: ['key'],
        },
      },
    },
    {
      title: 'The last state of each device',
      config: {
        postgres: {
          url: '${env.DATABASE_URL}',
          table: 'devices',
          columns: { device: 'msg.device', temp: 'msg.temp', seen: 'received' },
          onConflict: 'update',
          conflict: ['device'],
        },
      },
    },
  ],
  confirms: ({ durable }) => (durable ? 'durable' : 'accepted'),
  finished: 'the row is committed',
  batching: { maxBatch: 500, maxInFlight: 4 },
  check: checkPostgresOptions,
  async create(options, context) {
    const { timeout, durable } = options
    const shared = await sharePool(options, { timeout, session: durable ? 'durable' : 'asServer' }, context)
    const sink = new PostgresSink(shared, options, context)
    try {
      await sink.start()
    } catch (thrown) {
      await sink.close()
      throw thrown
    }
    return sink
  },
})

class PostgresSink implements Sink {
  readonly #shared: Shared<PostgresPool>
  readonly #writer: TableWriter
  readonly #options: PostgresOptions
  readonly #context: PartContext
  readonly #writes = new OpenWrites()
  readonly #abort = (): void => this.#shared.value.abort()

  constructor(shared: Shared<PostgresPool>, options: PostgresOptions, context: PartContext) {
    this.#shared = shared
    this.#options = options
    this.#context = context
    this.#writer = new TableWriter(options)
    context.signal.addEventListener('abort', this.#abort)
  }

  /** Looks whether rows can be written. @throws SluiceError when a person has to correct something */
  async start(): Promise<void> {
    const pool = this.#shared.value
    try {
      await pool.use(async (client, facts) => {
        await this.#writer.check(client)
        this.#warn(facts)
      })
    } catch (thrown) {
      const error = toDeliveryError(thrown, pool.where)
      if (!error.retryable) throw error
      this.#context.log('warn', `${error.message}; rows will be sent when it can be reached`)
    }
  }

  write(batch: Batch): Promise<void | Outcomes> {
    return this.#writes.run(async () => (batch.length === 0 ? undefined : this.#write(batch)))
  }

  close(): Promise<void> {
    return this.#writes.close(() => {
      this.#context.signal.removeEventListener('abort', this.#abort)
      return this.#shared.release()
    })
  }

  async #write({ messages }: Batch): Promise<void | Outcomes> {
    const pool = this.#shared.value
    const outcomes = new Array<SluiceError | undefined>(messages.length).fill(undefined)
    try {
      await pool.use((client) => this.#send(client, messages, outcomes))
    } catch (thrown) {
      const error = toDeliveryError(thrown, pool.where)
      if (error.code === 'sink_unavailable') throw worthAnotherTry(error)
      if (!isAboutTable(thrown) && !(thrown instanceof SluiceError)) throw error
      // Every row would meet this, so they are not tried apart.
      for (const [i, own] of outcomes.entries()) outcomes[i] = own ?? error
    }
    return outcomes.some((error) => error !== undefined) ? outcomes : undefined
  }

  /** Once more where the table is not what it was when it was last looked at. */
  async #send(client: Client, messages: readonly Message[], outcomes: (SluiceError | undefined)[]): Promise<void> {
    const { knowsTable } = this.#writer
    try {
      await writeAll(client, await this.#writer.runsOf(client, messages, outcomes))
    } catch (thrown) {
      if (!isAboutTable(thrown) || !knowsTable) throw thrown
      this.#writer.forget()
      outcomes.fill(undefined)
      await writeAll(client, await this.#writer.runsOf(client, messages, outcomes))
    }
  }

  #warn({ fsync }: ServerFacts): void {
    if (!this.#options.durable) return
    if (!fsync)
      this.#context.log('warn', 'the server runs with fsync off: what it confirms does not survive a power cut')
    if (!this.#writer.isLogged) {
      this.#context.log(
        'warn',
        'the table is UNLOGGED: the server empties it after a crash, whatever it confirmed before',
      )
    }
  }
}

/** One statement is a transaction by itself. */
async function writeAll(client: Client, runs: readonly RowRun[]): Promise<void> {
  if (runs.length < 2) {
    for (const { statement, rows } of runs) await statement.run(client, rows)
    return
  }
  await client.query('BEGIN')
  try {
    for (const { statement, rows } of runs) await statement.run(client, rows)
    await client.query('COMMIT')
  } catch (thrown) {
    // When this fails too, the connection is lost, and the transaction with it.
    await client.query('ROLLBACK').catch(() => {})
    throw thrown
  }
}

/** Credentials that were right at the start may become right again. */
function worthAnotherTry(error: SluiceError): SluiceError {
  if (error.retryable) return error
  const hint = error.hint === undefined ? {} : { hint: error.hint }
  return new SluiceError(error.code, error.message, { cause: toSluiceError(error.cause), retryable: true, ...hint })
}
