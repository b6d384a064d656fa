import { toSluiceError } from '../contracts/errors.ts'
import type { Events } from '../contracts/events.ts'
import type { ConnectionEventMap } from './client-events.ts'
import type { ManagedConnection } from './connection.ts'

/**
 * Reads what answers no request and drops it, until the connection has ended: where nobody reads, it would hold the answers
 * back. Never rejects.
 */
export async function dropUnrequested<In, Out>(
  connection: ManagedConnection<In, Out>,
  events: Events<ConnectionEventMap<In>>,
): Promise<void> {
  while (connection.state !== 'closed') {
    try {
      const message = await connection.receive()
      if (message === undefined) return
      events.emit('message.dropped', { message, reason: 'unrequested' })
    } catch (thrown) {
      // One that cannot be read is no answer either; where the connection broke, it is closed now or soon.
      if (connection.state !== 'open') return
      events.emit('message.dropped', { message: undefined, error: toSluiceError(thrown), reason: 'unrequested' })
    }
  }
}
