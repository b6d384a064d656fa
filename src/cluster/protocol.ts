import type { Plan } from '../config/plan.ts'
import type { RetryReport } from '../config/retry-dead-letters.ts'
import type { Address, PayloadKind } from '../contracts/client.ts'
import type { CloseCause, RequestTarget, SendResult, SendTarget } from '../contracts/clients.ts'
import type { BufferCounters } from '../contracts/counters.ts'
import type { FailureCode } from '../contracts/errors.ts'
import type { ListenOptions } from '../contracts/transport.ts'
import type { LogOptions } from '../observe/log.ts'
import type { MetricValues } from '../observe/metrics.ts'
import type { RemoteAnswer, RemoteQuestion } from './remote-request.ts'

/**
 * What the supervisor and its workers say to each other, over the channel of `child_process.fork`: calls with answers, both
 * ways, and the handing over of connections.
 *
 * ```
 *   supervisor ── socket 7 ─▶ worker      it keeps its own copy of the descriptor
 *   supervisor ◀── taken 7 ── worker      said before a byte is read; the copy is closed
 *   supervisor ◀── gone ───── worker      the connection has ended
 * ```
 */

/** What a worker may ask its supervisor. */
export interface SupervisorApi {
  /**
   * Binds an address, unless another worker has had it bound, and sends connections of it from now on.
   * @param listener a number that the worker has not used before, by which connections name where they come from
   * @returns the real address
   */
  listen(listener: number, options: ListenOptions): Promise<Address>
  /** Sends no more connections of it. It is unbound when no worker wants any. */
  unlisten(listener: number): Promise<void>
  /** Sends to clients of the other workers. */
  send(target: SendTarget, kind: PayloadKind, content: unknown, except: string | undefined): Promise<SendResult>
  /** Closes a client of another worker. */
  close(id: string, reason: CloseCause | undefined): Promise<boolean>
  /** Asks a client of another worker. */
  request(target: RequestTarget, question: RemoteQuestion): Promise<RemoteAnswer>
  /** Waits no longer for the answer to a question with this id. */
  giveUp(id: string): Promise<void>
}

/** What a supervisor may ask a worker. */
export interface WorkerApi {
  /** Starts the server. The first call, and only once. */
  begin(task: WorkerTask): Promise<void>
  reload(source: WorkerSource): Promise<void>
  /** Sends to clients of this worker. */
  send(target: SendTarget, kind: PayloadKind, content: unknown, except: string | undefined): Promise<SendResult>
  /** Closes a client of this worker. */
  close(id: string, reason: CloseCause | undefined): Promise<boolean>
  /** Asks a client of this worker. @returns undefined when it has none whom the question is for */
  request(target: RequestTarget, question: RemoteQuestion): Promise<RemoteAnswer | undefined>
  /** Nobody waits for the answer to a question with this id any more. */
  giveUp(id: string): Promise<void>
  metrics(): Promise<MetricValues>
  buffers(): Promise<readonly BufferCounters[]>
  retryDeadLetters(ids: readonly number[]): Promise<RetryReport>
  /** Drains the server; the worker then ends. May be called again with a shorter time. @param deadline milliseconds */
  stop(deadline: number): Promise<void>
}

/** Which configuration a worker works by. */
export interface WorkerSource {
  /** What stands in the configuration file; undefined for a module, which each worker loads itself. */
  readonly text: string | undefined
  /** Names of the `connect:` endpoints that are this worker's. */
  readonly connects: readonly string[]
}

/** What a worker is told when it begins. */
export interface WorkerTask extends WorkerSource {
  /** From 1 on: which part of the data is its own. */
  readonly slot: number
  /** Stands before the number in the id of each of its clients. */
  readonly clientPrefix: string
  readonly file: string
  /** 48 bytes, the same for all workers, so that a TLS session goes on with any of them. */
  readonly ticketKeys: Buffer
  readonly log: Pick<LogOptions, 'format' | 'color'>
  /** What a reload does not change: the file may say something else by now. */
  readonly settings: Pick<Plan, 'admin' | 'log' | 'data' | 'workers' | 'balance'>
}

/** What goes through the channel. */
export type Envelope =
  | { readonly kind: 'ask'; readonly id: number; readonly name: string; readonly args: readonly unknown[] }
  | { readonly kind: 'answer'; readonly id: number; readonly result?: unknown; readonly error?: WrittenError }
  | { readonly kind: 'socket'; readonly id: number; readonly listener: number }
  | { readonly kind: 'taken' | 'declined' | 'gone'; readonly id: number }

/** An error on its way to the other process. */
export interface WrittenError {
  readonly code: FailureCode
  readonly message: string
  readonly hint: string | undefined
  readonly retryable: boolean
}
