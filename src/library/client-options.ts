import { ConfigError } from '../config/config-error.ts'
import { configOfValue } from '../config/loaded.ts'
import { Report } from '../config/report.ts'
import { connectSchema } from '../config/schema-endpoints.ts'
import { validate } from '../config/validate.ts'
import { duration, z } from '../contracts/schema.ts'
import { Registry } from '../registry/registry.ts'
import type { Duration, Link, RequestId } from '../wire/link.ts'
import type { FormatRef, FramingRef } from './builders.ts'
import type { ConnectEntry } from './config.ts'

/** Reads the id of a request, and of a message; undefined for one that has none. */
export type IdOf<In, Out> =
  | ((message: In | Out) => RequestId | undefined)
  | { readonly in: (message: In) => RequestId | undefined; readonly out: (value: Out) => RequestId | undefined }

/** What `connect` and `createPool` share. */
export interface ClientOptions<In, Out = In> {
  readonly host?: string
  readonly port?: number
  /** Path of a Unix socket, instead of host and port. */
  readonly socket?: string
  /** Default: lines. */
  readonly framing?: FramingRef | string | { readonly in: FramingRef; readonly out: FramingRef }
  /** Default: text. */
  readonly format?: FormatRef<In> | { readonly in: FormatRef<In>; readonly out: FormatRef<Out> }
  /** The parts that framing and format may name. Default: those that come with Sluice. */
  readonly registry?: Registry
  /** Encrypt; `true` is enough for a certificate of a usual authority. */
  readonly tls?: true | NonNullable<ConnectEntry['tls']>
  /** Time in which the other side must take the connection, and then `onConnect` must end. Default 10 s. */
  readonly timeout?: Duration
  /** Silence after which TCP keepalive looks whether the other side is still there; `off` for never. Default 60 s. */
  readonly keepAlive?: Duration
  /** Send small writes at once. Default true. */
  readonly noDelay?: boolean
  /** Longest frame that is accepted, such as `64KiB`. Default 1 MiB. */
  readonly maxFrameLength?: string | number
  /** How long `request` waits for its answer unless it says otherwise; `off` for ever. Default 10 s. */
  readonly requestTimeout?: Duration
  /** Most requests and sends of one connection that are under way; one more fails with `too_many_pending`. Default 1024. */
  readonly maxPending?: number
  /**
   * How often connecting is tried. `attempts` is 1 unless given; `Infinity` never gives up. `backoff.first` (1 s) is the
   * longest wait before the second attempt, which doubles each time up to `backoff.max` (30 s); each wait is drawn at
   * random below that.
   */
  readonly retry?: {
    readonly attempts?: number
    readonly backoff?: { readonly first?: Duration; readonly max?: Duration }
  }
  /** Answers belong to the request with the same id, in any order. Default: answers come in the order of the requests. */
  readonly id?: IdOf<NoInfer<In>, NoInfer<Out>>
  /**
   * What becomes of a connection on which a request was given up. `drop` (default) keeps it and drops the answer when it
   * comes late, which is right where everything is answered at last; `close` closes it, which is right where something may
   * stay without an answer for ever and neither `id` nor `match` tells the answers apart.
   */
  readonly whenTimedOut?: 'drop' | 'close'
  /** Runs on each new connection before anything else is sent: a login, say. What it throws makes the attempt fail. */
  readonly onConnect?: (link: Link<NoInfer<In>, NoInfer<Out>>) => Promise<void>
}

/** The options of a client, checked. Times in milliseconds; 0 is off. */
export type CheckedOptions = z.output<typeof clientSchema>

/**
 * Checks what concerns the client alone. What a `connect:` entry has too, such as the port, is checked with the entry.
 * @param more options that only this kind of client has
 * @throws ConfigError with every mistake
 */
export function checkOptions<More extends z.ZodRawShape>(options: unknown, more: More) {
  const report = new Report(configOfValue(options, '.'))
  const checked = validate(clientSchema.extend(more), options, [], report)
  if (report.failed || checked === undefined) throw new ConfigError(report.finish())
  return checked.output as CheckedOptions & z.output<z.ZodObject<More>>
}

/** A duration of the library: a number of milliseconds is one too. */
export function milliseconds(options: { off?: boolean } = {}) {
  return z.preprocess((value) => (typeof value === 'number' ? `${value}ms` : value), duration(options))
}

/** A signal of the user. */
export function abortSignal() {
  return z.custom<AbortSignal>((value) => value instanceof AbortSignal, 'expected an AbortSignal')
}

/** A function of the user. */
export function callback<Function_>() {
  return z.custom<Function_>((value) => typeof value === 'function', 'expected a function')
}

const idOf = callback<(message: never) => RequestId | undefined>()

const wait = (first: string) => milliseconds().prefault(first)

const { host, port, socket, framing, format, tls } = connectSchema.shape

/** Only named, so that a key that was misspelt is found. Their values may hold `${env.NAME}`, so they are checked later. */
const ofTheEntry = Object.fromEntries(
  Object.keys({ host, port, socket, framing, format, tls, noDelay: true, maxFrameLength: true }).map((key) => [
    key,
    z.unknown().optional(),
  ]),
)

const clientSchema = z.strictObject({
  ...ofTheEntry,
  registry: z.custom<Registry>((value) => value instanceof Registry, 'expected what createRegistry gives').optional(),
  timeout: wait('10s'),
  keepAlive: milliseconds({ off: true }).prefault('60s'),
  requestTimeout: milliseconds({ off: true }).prefault('10s'),
  maxPending: z.int().min(1).prefault(1024),
  retry: z
    .strictObject({
      attempts: z.union([z.int().min(1), z.literal(Number.POSITIVE_INFINITY)]).optional(),
      backoff: z.strictObject({ first: wait('1s'), max: wait('30s') }).prefault({}),
    })
    .prefault({}),
  id: z.union([idOf, z.strictObject({ in: idOf, out: idOf })]).optional(),
  whenTimedOut: z.enum(['drop', 'close']).prefault('drop'),
  onConnect: callback<(link: Link<never, never>) => Promise<void>>().optional(),
})
