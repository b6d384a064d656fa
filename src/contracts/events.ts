import type { Address, Client } from './client.ts'
import type { WhenFull } from './delivery.ts'
import type { CloseReason, SluiceError } from './errors.ts'
import type { Message } from './message.ts'

/**
 * Everything that the core tells the outside. Logging, metrics, tap and dashboard subscribe; the core itself never logs.
 * Names are a noun and a past verb. Nothing here is emitted once per message in the good case: those are counters.
 */
export interface EventMap {
  'server.started': Record<string, never>
  'server.reloaded': ReloadReport
  'server.reloadFailed': {
    /** One sentence. */
    readonly reason: string
    /** What to do about it, where that is known. */
    readonly hint?: string | undefined
    /** Each mistake of the configuration, with its place; none when something else is wrong. */
    readonly mistakes: readonly string[]
  }
  'server.draining': { readonly deadlineMs: number }
  'server.stopped': Record<string, never>
  'listener.opened': { readonly endpoint: string; readonly address: Address; readonly tls: boolean }
  'listener.closed': { readonly endpoint: string; readonly address: Address }
  'dial.failed': {
    readonly endpoint: string
    /** The id of the device, where `hosts:` gives it one. */
    readonly client?: string | undefined
    readonly target: string
    readonly error: SluiceError
    /** Milliseconds until the next attempt. */
    readonly retryIn: number
  }
  /** A server behind a relay cannot be reached: it gets no clients while another can be. */
  'upstream.failed': { readonly endpoint: string; readonly target: string; readonly error: SluiceError }
  'upstream.recovered': { readonly endpoint: string; readonly target: string }
  /** A broker gives the messages of a `subscribe:` endpoint from now on. */
  'subscription.opened': { readonly endpoint: string; readonly address: Address }
  /** A broker cannot be reached, or gives no more messages. */
  'subscription.failed': {
    readonly endpoint: string
    readonly error: SluiceError
    /** Milliseconds until the next attempt. */
    readonly retryIn: number
  }
  /** It was time for a run of a `schedule:`, and the last one had not ended. */
  'schedule.skipped': { readonly endpoint: string }
  'poll.timedOut': { readonly client: Client }
  'connection.opened': { readonly client: Client }
  /** The first bytes of a connection; for recognising a wrong protocol on a port. */
  'connection.spoke': { readonly client: Client; readonly bytes: Buffer }
  'connection.closed': {
    readonly client: Client
    readonly reason: CloseReason
    readonly detail: string
    /** What to do about it, where that is known. */
    readonly hint?: string | undefined
  }
  /** Closed before it became a client. */
  'connection.refused': {
    readonly endpoint: string
    readonly remote: Address
    readonly reason: CloseReason
    readonly detail: string
    /** What to do about it, where that is known. */
    readonly hint?: string | undefined
  }
  'frame.rejected': { readonly message: Message; readonly error: SluiceError }
  'message.failed': {
    readonly message: Message
    readonly error: SluiceError
    readonly step: string
    readonly outcome: 'handled' | 'dead letter'
  }
  'deadLetter.stored': { readonly id: number; readonly message: Message; readonly error: SluiceError }
  /** The dead letter store failed too: this event and its log line are all that is left of the message. */
  'deadLetter.lost': { readonly message: Message; readonly error: SluiceError; readonly cause: SluiceError }
  /** No room for another dead letter: what fails waits, and with it its sender. */
  'deadLetters.filled': { readonly letters: number; readonly bytes: number; readonly maxSize: number }
  'deadLetters.emptied': Record<string, never>
  'deadLetters.expired': { readonly count: number; readonly maxAge: number }
  /** `late`: the run of the message had ended, as after the timeout of a step. Else the connection had closed. */
  'reply.lost': { readonly client: Client; readonly count: number; readonly late: boolean }
  'sink.retried': {
    readonly step: string
    readonly attempt: number
    readonly error: SluiceError
    readonly retryIn: number
  }
  /** Messages have failed, because the `timeout` of their step was over, and were delivered all the same. */
  'sink.deliveredLate': { readonly step: string; readonly messages: number }
  /** A buffer is full and holds its senders back, drops or refuses, as its `whenFull` says. */
  'buffer.filled': { readonly step: string; readonly whenFull: WhenFull; readonly reason: string }
  'buffer.emptied': { readonly step: string }
  /** What a buffer could not store for now; its senders wait. */
  'buffer.blocked': { readonly step: string; readonly error: SluiceError; readonly retryIn: number }
  /** An entry of a buffer cannot be read any more and was put aside. */
  'buffer.damaged': { readonly step: string; readonly detail: string }
  /** The process has died while a buffer delivered; what waits first in it is delivered one by one. */
  'buffer.suspected': {
    readonly step: string
    /** How often in a row it has died with the same message first. */
    readonly deaths: number
    /** Messages that were being delivered alone when it died: they are given up. */
    readonly blamed: number
  }
  /** Messages of an earlier run wait on disk for a step that the configuration does not have. */
  'buffer.orphaned': { readonly step: string; readonly messages: number }
  /** Messages that waited for a worker that is not there any more have been given to one that is. */
  'buffer.adopted': { readonly step: string; readonly messages: number; readonly from: string; readonly to: string }
  'worker.started': { readonly worker: number; readonly pid: number }
  'worker.exited': {
    readonly worker: number
    readonly pid: number
    /** One clause: "killed by SIGKILL". */
    readonly reason: string
    /** Milliseconds until it is started again. */
    readonly restartIn: number
  }
  /** A `log` step, or a part that has something to say. */
  'part.logged': {
    readonly level: LogLevel
    readonly step: string
    readonly text: string
    readonly client: Client | undefined
  }
}

/** What a reload has done. */
export interface ReloadReport {
  /** Names of endpoints. */
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly changed: readonly string[]
  readonly unchanged: readonly string[]
  /** Settings that differ and stay as they are until the program is started again, such as `admin`. */
  readonly restart: readonly string[]
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export type EventName = keyof EventMap

/** One sentence for each event: when it is emitted. The reference page is made from this. */
export const eventDescriptions = {
  'server.started': 'Every endpoint listens or has begun to dial.',
  'server.reloaded': 'Another configuration is in force; it says what that has changed, and what needs a restart.',
  'server.reloadFailed': 'Another configuration was not taken, and nothing has changed.',
  'server.draining': 'The server has begun to stop: nothing new is accepted, what is in flight is finished.',
  'server.stopped': 'Everything is closed.',
  'listener.opened': 'An address is bound and accepts connections.',
  'listener.closed': 'An address accepts no more connections.',
  'dial.failed': 'An outgoing connection could not be opened; it is tried again after `retryIn`.',
  'upstream.failed': 'A server behind a relay is down: it could not be reached, and could before.',
  'upstream.recovered': 'A server behind a relay that was down has taken a connection.',
  'subscription.opened': 'A broker has confirmed a subscription and gives its messages.',
  'subscription.failed':
    'A broker cannot be reached, refuses a subscription or has ended it; it is tried again after `retryIn`.',
  'schedule.skipped': 'A run of a schedule was skipped, because the last one had not ended.',
  'poll.timedOut': 'A poll was not answered in time.',
  'connection.opened': 'A connection has become a client.',
  'connection.spoke': 'The first bytes of a connection have arrived.',
  'connection.closed': 'A client is gone; the reason is one of the close reasons.',
  'connection.refused': 'A connection was closed before it became a client.',
  'frame.rejected':
    'The framing or the format could not make a message of some bytes, or a frame that was too long was dropped or cut.',
  'message.failed': 'A message failed in a step and was handled by an `onError` or became a dead letter.',
  'deadLetter.stored': 'A message that failed for good is on disk.',
  'deadLetter.lost': 'The store of dead letters failed too: this event is all that is left of the message.',
  'deadLetters.filled': 'The dead letters have reached `maxSize`: what fails waits, and with it its sender.',
  'deadLetters.emptied': 'The dead letters were full and have room again.',
  'deadLetters.expired': 'Dead letters that were older than `maxAge` were removed.',
  'reply.lost':
    'Answers could not be sent: the connection had closed, or, when `late`, the run of their message had ended.',
  'sink.retried': 'A sink failed for a reason that may pass; it is tried again after `retryIn`.',
  'sink.deliveredLate':
    'A sink has delivered messages after the `timeout` of their step was over: they have failed and were delivered all the same.',
  'buffer.filled': 'A buffer is full: its senders wait, or what `whenFull` says happens.',
  'buffer.emptied': 'A buffer that was full has room again.',
  'buffer.blocked': 'A buffer could not store what came; it tries again after `retryIn` and its senders wait.',
  'buffer.damaged': 'An entry of a buffer could not be read and was put aside; those behind it are delivered.',
  'buffer.suspected': 'The process has died while a buffer delivered: what waits first in it is delivered one by one.',
  'buffer.orphaned': 'Messages wait on disk for a step that the configuration does not have; nothing delivers them.',
  'buffer.adopted':
    'Messages that waited in the folder of one worker have been moved to that of another, because `workers` has changed.',
  'worker.started': 'With several workers: one has been started and takes connections.',
  'worker.exited':
    'With several workers: one has ended without being asked to. Its connections are lost, and it is started again.',
  'part.logged': 'A `log` step wrote a line, or a part has something to say.',
} as const satisfies Record<EventName, string>

/** A bus of typed events. @typeParam All what each event carries, by name; that of a server unless said otherwise */
export interface Events<All = EventMap> {
  /** @returns what ends the subscription */
  on<Name extends keyof All>(name: Name, listener: (event: All[Name]) => void): () => void
  emit<Name extends keyof All>(name: Name, event: All[Name]): void
}

/** An event bus whose listeners cannot harm the emitter: what one throws is given to `onListenerError`. */
export function createEvents<All = EventMap>(onListenerError: (error: unknown) => void): Events<All> {
  const listeners = new Map<keyof All, Set<(event: never) => void>>()
  return {
    on(name, listener) {
      const set = listeners.get(name) ?? new Set()
      listeners.set(name, set.add(listener))
      return () => set.delete(listener)
    },
    emit(name, event) {
      for (const listener of listeners.get(name) ?? []) {
        try {
          listener(event as never)
        } catch (error) {
          onListenerError(error)
        }
      }
    },
  }
}
