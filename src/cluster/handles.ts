import { Socket as NetSocket } from 'node:net'

/**
 * How a connection that was accepted gets into another process. Node.js documents this for whole sockets, but such a socket
 * begins to read on its own when it arrives, and what is read before it is known to have arrived would be lost with a worker
 * that dies. So the handle inside is sent, as `node:cluster` does, and the socket around it is made paused.
 */

/** Fields of a socket that Node.js has and does not document. */
interface Inside {
  readonly _handle?: object | null
}

/** The handle of a socket that has not been read from; undefined when it has been closed. */
export function handleOf(socket: NetSocket): object | undefined {
  return (socket as NetSocket & Inside)._handle ?? undefined
}

/** A socket around a handle that another process has sent. It reads nothing before it is resumed. */
export function socketOf(handle: unknown): NetSocket {
  const options = { handle, allowHalfOpen: true, pauseOnCreate: true }
  return new NetSocket(options as ConstructorParameters<typeof NetSocket>[0])
}
