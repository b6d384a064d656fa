import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { loadConfig } from '../../src/config/source.ts'
import type { Config, ConnectEntry, ListenEntry, SubscribeEntry } from '../../src/index.ts'
import { type Running, start } from './server.ts'

/** Path of the configuration of an example. */
export function exampleFile(name: string): string {
  return fileURLToPath(new URL(`../../examples/${name}/sluice.yaml`, import.meta.url))
}

/**
 * Starts an example as it is written, but on free ports and with its files in a folder of their own.
 * @param change what a test needs otherwise, such as the port of a device
 */
export async function startExample(name: string, change: (config: ExampleConfig) => void = () => {}): Promise<Running> {
  const { value } = await loadConfig(exampleFile(name))
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

/** Changes a configuration so that it uses a file that lies elsewhere. */
export function withFile(name: string, path: string): (config: ExampleConfig) => void {
  return (config) => Object.assign(config, JSON.parse(JSON.stringify(config).replaceAll(name, path)))
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
