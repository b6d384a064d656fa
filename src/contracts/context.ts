import type { Clients } from './clients.ts'
import type { Clock } from './clock.ts'
import type { Codec } from './codec.ts'
import type { SluiceError } from './errors.ts'
import type { LogLevel } from './events.ts'
import type { Framing } from './framing.ts'
import type { Message } from './message.ts'
import type { Storage } from './storage.ts'
import type { ClientTlsOptions, TlsLayer, Transport } from './transport.ts'

/**
 * What a part gets besides its options when it is created. A part needs nothing else of ours, and a built-in part gets
 * nothing that a user's own part does not.
 */
export interface PartContext {
  /** The step's `id`, or its place, such as `listen.scales.dataflow[2]`. Stable while the configuration is. */
  readonly id: string
  /** Name of the endpoint in whose dataflow the part stands. */
  readonly endpoint: string
  readonly clock: Clock
  readonly clients: Clients
  /** What the endpoint writes: its outgoing framing and format. A sink takes the format from here unless told otherwise. */
  readonly codec: Codec
  /** Ends a line of a sink that writes bytes, unless told otherwise. */
  readonly lineFraming: Framing
  readonly storage: Storage
  readonly deadLetters: DeadLetters
  readonly tcp: Transport
  /**
   * Makes the TLS for connections that the part dials.
   * @throws SluiceError `tls_failed` when a certificate or key cannot be used
   */
  createTls(options: ClientTlsOptions): TlsLayer
  /** Aborted when the server stops without waiting any longer. */
  readonly signal: AbortSignal
  /**
   * Loads a package that only this part needs, so that nobody else has to install it. It is looked for beside the
   * configuration file, then beside Sluice.
   * @param name as it is imported, `pg` say
   * @returns what the package exports
   * @throws SluiceError `package_missing`, saying what to install
   */
  importPackage(name: string): Promise<unknown>
  /** A path of the configuration, made absolute: relative ones start at the configuration file's folder. */
  resolvePath(path: string): string
  /**
   * A path in the data folder, for a file in which a part keeps what must outlive a restart. The folder belongs to this
   * server alone from then on. A part that uses it says `persists` in its definition and names the file by its `id`.
   * @throws SluiceError `storage_failed` when another server has the folder
   */
  dataPath(name: string): string
  /**
   * One value for all parts that give the same key, for example one client for equal connection options. The parts of a
   * reload are created before the old ones are closed, so what both ask for stays open.
   * @param open called for the first user
   * @returns the value and `release`, to be called once; the last release closes it
   */
  share<T extends { close(): void | Promise<void> }>(key: string, open: () => T): Shared<T>
  log(level: LogLevel, text: string, message?: Message): void
}

export interface Shared<T> {
  readonly value: T
  release(): Promise<void>
}

/** The store of messages that failed for good. */
export interface DeadLetters {
  /**
   * Keeps a message whole. Resolves when it is on disk.
   * While there are too many of them it waits, and that holds the senders back.
   * @param step id of the step that failed; '' for the framing or the format
   * @param over aborted when the message is not to wait any longer, for room or for another attempt
   * @throws SluiceError `storage_failed`: it is not kept, and will not be
   */
  add(message: Message, error: SluiceError, step: string, over?: AbortSignal): Promise<number>
}
