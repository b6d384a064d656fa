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
