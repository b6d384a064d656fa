import type { EventEmitter } from 'node:events'
import { Socket as NetSocket } from 'node:net'

/**
 * How a connection that was accepted gets into another process. Node.js documents this for whole sockets, but such a socket
 * begins to read on its own when it arrives, and what is read before it is known to have arrived would be lost with a worker
 * that dies. So the handle inside is sent, as `node:cluster` does, and the socket around it is made paused.
 */

/**
 * Calls back for each handle that was sent, in that order, when the other process has received it; or could not, because it
 * has no file descriptor left. Node.js tells this to itself with an event of the child process.
 */
export function onReceipt(child: EventEmitter, callback: (received: boolean) => void): void {
  child.on('internalMessage', ({ cmd }: { readonly cmd?: string }) => {
    if (cmd === 'NODE_HANDLE_ACK') callback(true)
    else if (cmd === 'NODE_HANDLE_NACK') callback(false)
  })
}

/** A socket around a handle that another process has sent. It reads nothing before it is resumed. */
export function socketOf(handle: unknown): NetSocket {
  const options = { handle, allowHalfOpen: true, pauseOnCreate: true }
  return new NetSocket(options as ConstructorParameters<typeof NetSocket>[0])
}
