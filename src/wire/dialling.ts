import { setTimeout as sleep } from 'node:timers/promises'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Events } from '../contracts/events.ts'
import type { DialOptions, Socket, TlsLayer, Transport } from '../contracts/transport.ts'
import type { Backoff } from '../util/backoff.ts'
import { whenAborted } from '../util/signals.ts'
import type { ConnectionEventMap } from './client-events.ts'
import type { ClientSettings } from './client-settings.ts'
import { SocketLink } from './socket-link.ts'
import { within } from './within.ts'

/** How it is tried to connect. */
export interface Attempts<In> {
  /** At most so many; one more than 0. */
  readonly attempts: number
  readonly backoff: Backoff
  /** Gives all attempts up, with its reason. */
  readonly signal: AbortSignal
  readonly events: Events<ConnectionEventMap<In>>
}

/**
 * Connects, and runs `onConnect`; tries again as often as may be, with growing waits.
 * @throws SluiceError that of the last attempt, which says how many there were; the reason of the signal
 */
export async function openLink<In, Out>(
  settings: ClientSettings<In, Out>,
  { attempts, backoff, signal, events }: Attempts<In>,
): Promise<SocketLink<In, Out>> {
  for (let attempt = 1; ; attempt++) {
    try {
      const link = await openOnce(settings, signal)
      backoff.reset()
      return link
    } catch (thrown) {
      if (signal.aborted) throw signal.reason
      const error = toSluiceError(thrown, 'step_failed')
      if (attempt >= attempts || (thrown === error && !error.retryable)) throw afterAttempts(thrown, attempt)
      const retryIn = backoff.next()
      events.emit('dial.failed', { target: settings.target, error, attempt, retryIn })
      await pause(retryIn, signal)
    }
  }
}

/**
 * Opens a socket, and encrypts it where there is a layer for that.
 * @throws SluiceError as `dial` and `secure`; the reason of the signal
 */
export async function dialSecured(
  transport: Transport,
  options: DialOptions & { readonly signal: AbortSignal },
  tls: TlsLayer | undefined,
): Promise<Socket> {
  const raw = await transport.dial(options)
  if (tls === undefined) return raw
  const forget = whenAborted(options.signal, () => raw.destroy())
  return tls.secure(raw).finally(forget)
}

/** Waits. @throws the reason of the signal */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => signal.throwIfAborted())
}

async function openOnce<In, Out>(settings: ClientSettings<In, Out>, signal: AbortSignal): Promise<SocketLink<In, Out>> {
  const { onConnect, timeout, target } = settings
  const socket = await settings.dial(signal)
  const link = new SocketLink<In, Out>(socket, settings)
  if (onConnect === undefined) return link
  const late = () =>
    new SluiceError('connection_timeout', `onConnect did not end within ${timeout} ms on ${target}`, {
      retryable: true,
      hint: 'Raise timeout, or see which of its requests or receives gets nothing.',
    })
  const forget = whenAborted(signal, () => link.fail(toSluiceError(signal.reason, 'connection_closed')))
  try {
    await within(onConnect(link), timeout, undefined, late)
    return link
  } catch (thrown) {
    link.fail(toSluiceError(thrown, 'step_failed'))
    throw thrown
  } finally {
    forget()
  }
}

/** The error of the last attempt, with how many there were. */
function afterAttempts(thrown: unknown, attempts: number): unknown {
  if (!(thrown instanceof SluiceError) || attempts === 1) return thrown
  const { code, message, retryable, hint } = thrown
  const more = { cause: thrown.cause, retryable, attempts, ...(hint !== undefined && { hint }) }
  return new SluiceError(code, `${message}; tried ${attempts} times`, more)
}
