import type { RetryReport } from '../config/retry-dead-letters.ts'
import type { ReloadReport } from '../contracts/events.ts'

/**
 * The control socket: how a command reaches the server that runs with a data folder. A connection carries one request
 * and one answer, each a line of JSON. Whoever may open the file may ask, so it belongs to the user of the server alone.
 */

/** Name of the socket in the data folder. */
export const CONTROL_SOCKET = 'control.sock'

/** What may be asked, and what is answered to it. */
export interface Commands {
  reload: { readonly request: Record<never, never>; readonly result: Reloaded }
  /** So many ids that the line stays below 64 KiB. */
  retryDeadLetters: { readonly request: { readonly ids: readonly number[] }; readonly result: RetryReport }
}

export type CommandName = keyof Commands

export interface Reloaded extends ReloadReport {
  /** The configuration that was read. */
  readonly file: string
  /** What `sluice check` would warn of; '' for nothing. */
  readonly warnings: string
}

export type ControlRequest<Name extends CommandName = CommandName> = {
  readonly command: Name
} & Commands[Name]['request']

export type ControlAnswer<Name extends CommandName = CommandName> =
  | { readonly ok: true; readonly result: Commands[Name]['result'] }
  | { readonly ok: false; readonly message: string; readonly hint?: string | undefined }
