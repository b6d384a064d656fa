import type { Socket as NetSocket } from 'node:net'

/** What is inside a socket of Node.js, which does not document it: the socket as libuv has it. */
export interface Handle {
  /** Whether Node.js has told it to read. */
  readonly reading: boolean
  /** @returns below 0 when it cannot */
  readStart(): number
  readStop(): number
  /** TCP alone has it. */
  reset?(): number
}

interface Inside {
  readonly _handle?: Handle | null
}

/** The handle of a socket; undefined when it has been closed. */
export function handleOf(socket: NetSocket): Handle | undefined {
  return (socket as NetSocket & Inside)._handle ?? undefined
}
