import type { Batch } from '../contracts/batch.ts'
import type { Client } from '../contracts/client.ts'
import type { Codec } from '../contracts/codec.ts'
import { countReason, type EndpointCounters } from '../contracts/counters.ts'
import type { Dataflow, Failures } from '../contracts/dataflow.ts'
import { type CloseReason, SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Socket, SocketHandler } from '../contracts/transport.ts'
import { Connection } from '../engine/connection.ts'
import type { EndpointSpec, Host } from '../engine/spec.ts'
import { ByteWriter } from '../util/byte-writer.ts'
import type { Direction, Inspect, RelaySpec } from './spec.ts'

/** What an inspection needs of the relay that it belongs to. */
export interface Inspected {
  readonly client: Client
  readonly host: Host
  /** The last delivery has ended. */
  ended(): void
  /** The bytes cannot be inspected any further. */
  broken(reason: CloseReason, detail: string): void
}

/**
 * One direction of a relay, as messages: bytes are framed, parsed and taken through a dataflow as those of any other
 * connection are, by a {@link Connection} whose socket is this object.
 *
 * A copy has no way to hold the sender back: when more than `limits.maxQueued` bytes wait for the dataflow, the inspection
 * of this direction ends, because bytes that are left out would make wrong messages of those behind them. Inline, the
 * sender is held back as by any dataflow, and answers are what goes on to the other side.
 */
export class Inspection implements Socket {
  readonly mode: Inspect['mode']
  readonly tls: boolean
  readonly #from: Socket
  readonly #to: Socket
  readonly #relay: Inspected
  readonly #direction: Direction
  readonly #connection: Connection
  #handler!: SocketHandler
  #closed = false
  /** The spec that was last asked for, and what it was made of. */
  #spec: { readonly of: EndpointSpec; readonly made: EndpointSpec } | undefined = undefined

  /** Begins at once. */
  constructor(direction: Direction, mode: Inspect['mode'], from: Socket, to: Socket, relay: Inspected) {
    this.mode = mode
    this.tls = from.tls
    this.#from = from
    this.#to = to
    this.#relay = relay
    this.#direction = direction
    // It counts bytes and has states of its own, and the client is one all the same.
    this.#connection = new Connection(this, { ...relay.client, bytesIn: 0, bytesOut: 0 }, this.#hostOf(relay.host))
    this.#connection.open()
  }

  get pending(): Promise<void> | undefined {
    return this.#connection.pending
  }

  /** Takes what one side has sent. */
  read(chunk: Buffer): void {
    if (!this.#closed) this.#handler.onData(chunk)
  }

  /** No more will come. */
  readEnd(): void {
    if (!this.#closed) this.#handler.onEnd()
  }

  /** The side that gets the bytes can take more. */
  drained(): void {
    if (!this.#closed) this.#handler.onDrain()
  }

  /** One of the sides is gone. */
  close(error?: Error): void {
    if (this.#closed) return
    this.#closed = true
    this.#handler.onClose(error)
  }

  /** Takes no more and finishes what has come. */
  finish(reason: CloseReason): void {
    this.#connection.finish(reason)
  }

  get remote() {
    return this.#from.remote
  }

  get local() {
    return this.#from.local
  }

  get writable(): boolean {
    return this.#to.writable
  }

  get queued(): number {
    return this.mode === 'copy' ? 0 : this.#to.queued
  }

  start(handler: SocketHandler): void {
    this.#handler = handler
  }

  write(bytes: Buffer | string): boolean {
    return this.mode === 'copy' || this.#to.write(bytes)
  }

  pause(): void {
    if (this.mode === 'inline') this.#from.pause()
    else {
      const error = new SluiceError('overrun', 'more than limits.maxQueued bytes waited for the dataflow')
      countReason(this.#relay.host.spec.counters.rejected, error.code)
      this.#tell(error.message)
      this.#connection.finish('closed_by_api')
    }
  }

  resume(): void {
    if (this.mode === 'inline') this.#from.resume()
  }

  /** Called when all that has come has gone through the dataflow. */
  end(): void {
    if (this.mode === 'inline') this.#to.end()
    queueMicrotask(() => this.close())
  }

  destroy(): void {
    queueMicrotask(() => this.close())
  }

  /** The relay learns of it, and ends its connections where that is needed. */
  reset(): void {
    this.destroy()
  }

  #tell(why: string): void {
    const { client, host } = this.#relay
    host.surroundings.events.emit('part.logged', {
      level: 'warn',
      step: `listen.${client.endpoint}.relay.${this.#direction}`,
      text: `the inspection of ${client.id} has ended, and its bytes are passed on as before: ${why}`,
      client,
    })
  }

  #hostOf(host: Host): Host {
    const relay = this.#relay
    const counters = ownBytes(host.spec.counters)
    const isCopy = this.mode === 'copy'
    const { surroundings } = host
    return {
      ...host,
      // Messages of both directions are numbered from 1, and their keys must differ.
      surroundings: { ...surroundings, boot: `${surroundings.boot}-${this.#direction}` },
      spec: this.#specOf(host.spec, counters),
      current: () => this.#specOf(host.current(), counters),
      closed: (seen, reason, detail) => {
        this.#closed = true
        relay.client.messagesIn += seen.messagesIn
        if (!BROKEN.has(reason)) return
        if (isCopy) this.#tell(detail || reason)
        else relay.broken(reason, detail)
      },
      ended: () => relay.ended(),
    }
  }

  #specOf(spec: RelaySpec, counters: EndpointCounters): EndpointSpec {
    if (this.#spec?.of === spec) return this.#spec.made
    // What arrives from clients is written to servers in the framing and format in which it came.
    const codec = this.#direction === 'toClient' ? spec.codec : { framing: spec.framing, format: spec.format }
    const dataflow = spec.inspect?.dataflows[this.#direction]
    const made = {
      ...spec,
      ...codec,
      codec,
      counters,
      // A reload may have taken the dataflow away; who is inspected inline is then let through.
      dataflow: this.mode === 'copy' ? dataflow : forwarding(dataflow ?? EMPTY, codec),
      onConnect: undefined,
      onDisconnect: undefined,
      limits: { ...spec.limits, idleTimeout: 0, firstFrameTimeout: 0, writeTimeout: 0 },
    }
    this.#spec = { of: spec, made }
    return made
  }
}

/** Lets everything through. */
const EMPTY: Dataflow = { run: (batch) => batch }

/** A dataflow that passes on what comes out of it: as it came where nobody has changed it, else printed anew. */
function forwarding(dataflow: Dataflow, codec: Codec): Dataflow {
  return {
    ...dataflow,
    run(batch, failures) {
      const result = dataflow.run(batch, failures)
      return result instanceof Promise
        ? result.then((passed) => forward(passed, codec, failures))
        : forward(result, codec, failures)
    },
  }
}

function forward(batch: Batch, { framing, format }: Codec, failures: Failures): Batch {
  const { frames, source } = batch
  if (frames !== undefined && batch.format === format && source?.echo(frames)) return batch
  const writer = new ByteWriter()
  for (const message of batch.messages) {
    try {
      framing.encode(message.verbatim === format ? message.raw : format.print(message.msg), writer)
      message.source.reply(message.sequence, 'raw', writer.take())
    } catch (thrown) {
      writer.take()
      failures.add(message, toSluiceError(thrown, 'format_not_printable'))
    }
  }
  return batch
}

/** Ends after which the bytes that follow mean nothing. */
const BROKEN: ReadonlySet<CloseReason> = new Set(['frame_error', 'frame_timeout', 'internal', 'connect_failed'])

/** Counters of an endpoint for one of its directions: the relay itself counts the bytes. */
function ownBytes(counters: EndpointCounters): EndpointCounters {
  const own = { value: 0, writable: true }
  const shared = (key: 'messagesIn' | 'queuedBytes' | 'readsPaused') => ({
    get: () => counters[key],
    set: (value: number) => {
      counters[key] = value
    },
  })
  return Object.create(counters, {
    bytesIn: own,
    bytesOut: own,
    messagesOut: own,
    messagesIn: shared('messagesIn'),
    queuedBytes: shared('queuedBytes'),
    readsPaused: shared('readsPaused'),
  }) as EndpointCounters
}
