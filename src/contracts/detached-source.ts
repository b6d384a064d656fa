import { type Client, newClient } from './client.ts'
import { SluiceError } from './errors.ts'
import type { Source } from './message.ts'

/**
 * A source whose messages outlive their run: they have gone a way of their own, or wait in a buffer. Their answers have
 * been sent without them, so nothing can be replied any more.
 * @param of whose messages they are
 * @param hint what to do instead of a reply
 * @param close what a `close` step does to the connection; nothing when it may have ended long ago
 */
export function detachedSource(
  of: Pick<Source, 'client' | 'boot' | 'endpoint' | 'clock' | 'state' | 'buffer' | 'origin'>,
  hint: string,
  close: () => void = () => {},
): Source {
  const { client, boot, endpoint, clock, state, buffer, origin } = of
  return {
    client,
    boot,
    endpoint,
    clock,
    state,
    ...(buffer !== undefined && { buffer }),
    ...(origin !== undefined && { origin }),
    reply() {
      throw new SluiceError('no_connection', 'the answers of this message have been sent already', { hint })
    },
    echo: () => false,
    wait: () => Promise.reject(new SluiceError('no_connection', 'nobody waits for this client any more', { hint })),
    close,
  }
}

/**
 * A source whose answers nobody waits for any more: they are skipped, so that the steps behind a `reply` go on.
 * @param skipped called for each answer
 */
export function mutedSource(of: Parameters<typeof detachedSource>[0], skipped: () => void): Source {
  return { ...detachedSource(of, ''), reply: skipped, drained: () => undefined }
}

/** What stands for the client of messages that come from no connection: one for as long as their source lives. */
export function noClient(name: string, now: number): { -readonly [Key in keyof Client]: Client[Key] } {
  const place = { id: name, endpoint: name, ip: '', port: 0, localIp: '', localPort: 0, tls: false, tags: {} }
  return newClient(place, now)
}
