import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { loadConfig } from '../../src/config/source.ts'
import { readDeadLetters } from '../../src/delivery/dead-letter-files.ts'
import type { StoredDeadLetter } from '../../src/delivery/dead-letter-rows.ts'
import { DEAD_LETTERS_FILE } from '../../src/delivery/dead-letters.ts'
import type { Config, ConnectEntry, ListenEntry, SubscribeEntry } from '../../src/index.ts'
import { type Running, start } from './server.ts'

/** Path of the configuration of an example. */
export function exampleFile(name: string): string {
  return fileURLToPath(new URL(`../../examples/${name}/sluice.yaml`, import.meta.url))
}

/** Starts an example, as {@link startFile} does. */
export function startExample(name: string, change?: (config: ExampleConfig) => void): Promise<Running> {
  return startFile(exampleFile(name), change)
}

/**
 * Starts a configuration as it is written, but on free ports and with its files in a folder of their own.
 * @param change what a test needs otherwise, such as the port of a device
 */
export async function startFile(file: string, change: (config: ExampleConfig) => void = () => {}): Promise<Running> {
  const { value } = await loadConfig(file)
  const config = structuredClone(value) as ExampleConfig
  for (const entry of Object.values(config.listen ?? {})) Object.assign(entry, { host: '127.0.0.1', port: 0 })
  change(config)
  return start(config)
}

/** A configuration that may still be changed. */
export type ExampleConfig = Omit<Config, 'listen' | 'connect' | 'subscribe'> & {
  listen?: Record<string, Mutable<ListenEntry>>
  connect?: Record<string, Mutable<ConnectEntry>>
  subscribe?: Record<string, SubscribeEntry>
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] }

/** Changes a text wherever it stands in a configuration, such as the address of a device or the path of a file. */
export function withText(text: string, other: string): (config: ExampleConfig) => void {
  return (config) => Object.assign(config, JSON.parse(JSON.stringify(config).replaceAll(text, other)))
}

/**
 * Makes the database `X.db` for each file `X.sql` of an example, as its README tells a user to.
 * @returns the path of the last one
 */
export function makeDatabases(example: string, folder: string): string {
  const source = dirname(exampleFile(example))
  let path = ''
  for (const name of readdirSync(source).filter((file) => file.endsWith('.sql'))) {
    path = join(folder, name.replace(/\.sql$/, '.db'))
    const database = new DatabaseSync(path)
    database.exec(readFileSync(join(source, name), 'utf8'))
    database.close()
  }
  return path
}

/** Rows of a database that an example has made. */
export function rows({ folder }: Running, file: string, query: string): Record<string, SQLOutputValue>[] {
  const database = new DatabaseSync(join(folder, file), { readOnly: true })
  try {
    // The rows of node:sqlite have no prototype.
    return database
      .prepare(query)
      .all()
      .map((row) => ({ ...row }))
  } finally {
    database.close()
  }
}

/** Makes the commit of every further row fail, as a table that refuses them does. */
export function refuseInserts({ folder }: Running, file: string, table: string): void {
  const database = new DatabaseSync(join(folder, file))
  database.exec(`CREATE TRIGGER refuse BEFORE INSERT ON ${table} BEGIN SELECT RAISE(ABORT, 'no'); END`)
  database.close()
}

/** Stops the server and reads its dead letters, oldest first. */
export async function deadLetters({ server, folder }: Running): Promise<StoredDeadLetter[]> {
  await server.stop()
  return readDeadLetters(join(folder, 'sluice-data', DEAD_LETTERS_FILE)).reverse()
}
