import { setImmediate } from 'node:timers'
import type { Address } from '../contracts/client.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { DialOptions, ListenOptions, Socket, SocketHandler, Transport } from '../contracts/transport.ts'

/**
 * Connections inside this process, for tests and `sluice test`: they behave like TCP (backpressure, half-close, reset
 * of a side that is gone) without ports of the machine. Every call makes a network of its own; hosts are ignored, so
 * that all addresses are one machine.
 *
 * Delivery is deterministic: in the order of the writes, each write as one chunk, never inside the call that wrote.
 */
export function createMemoryTransport(): Transport {
  const listeners = new Map<number | string, (socket: Socket) => void>()
  let lastPort = FIRST_PORT
  const freePort = () => {
    do lastPort = lastPort === LAST_PORT ? FIRST_PORT : lastPort + 1
    while (listeners.has(lastPort))
    return lastPort
  }
  return {
    async listen(options: ListenOptions, onSocket) {
      const key = options.path ?? (options.port || freePort())
      if (listeners.has(key)) throw new SluiceError('address_in_use', `another listener uses ${key}`)
      listeners.set(key, onSocket)
      return {
        address: addressOf(key),
        close: async () => {
          if (listeners.get(key) === onSocket) listeners.delete(key)
        },
      }
    },
    async dial(options: DialOptions) {
      options.signal?.throwIfAborted()
      const key = options.path ?? options.port ?? 0
      const onSocket = listeners.get(key)
      if (onSocket === undefined) {
        throw new SluiceError('connection_refused', `nothing listens on ${key}`, { retryable: true })
      }
      const there = addressOf(key)
      const here = options.path === undefined ? addressOf(freePort()) : there
      const [dialled, accepted] = createSocketPair(here, there)
      setImmediate(() => onSocket(accepted))
      return dialled
    },
  }
}

/** Two connected sockets, for a test that needs no listener. */
export function createSocketPair(
  here: Address = addressOf(FIRST_PORT),
  there: Address = addressOf(FIRST_PORT + 1),
): [Socket, Socket] {
  const one = new MemorySocket(here, there)
  const other = new MemorySocket(there, here)
  one.peer = other
  other.peer = one
  return [one, other]
}

/** The range for dynamic ports (RFC 6335, section 6). */
const FIRST_PORT = 49_152
const LAST_PORT = 65_535

/** Unread bytes above which `write` asks the writer to wait, as Node's sockets do. */
const WINDOW = 64 * 1024

function addressOf(key: number | string): Address {
  return typeof key === 'string' ? { ip: key, port: 0 } : { ip: '127.0.0.1', port: key }
}

class MemorySocket implements Socket {
  readonly remote: Address
  readonly local: Address
  readonly tls = false
  peer!: MemorySocket
  #handler: SocketHandler | undefined = undefined
  /** Written by the other side and not yet handed over. */
  #unread: Buffer[] = []
  #unreadBytes = 0
  #paused = false
  #scheduled = false
  #wantsDrain = false
  /** We have ended: no more bytes leave. */
  #ended = false
  /** The other side has ended, and then: its end was reported. */
  #peerEnded = false
  #endReported = false
  #closed = false
  #closeReported = false
  #error: Error | undefined = undefined

  constructor(local: Address, remote: Address) {
    this.local = local
    this.remote = remote
  }

  get queued(): number {
    return this.peer.#unreadBytes
  }

  get writable(): boolean {
    return !this.#ended && !this.#closed
  }

  start(handler: SocketHandler): void {
    this.#handler = handler
    this.#schedule()
  }

  write(content: Buffer | string): boolean {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content
    if (this.#ended || this.#closed || bytes.length === 0) return true
    const peer = this.peer
    if (peer.#closed) {
      this.#close(resetByPeer())
      return true
    }
    peer.#unread.push(bytes)
    peer.#unreadBytes += bytes.length
    peer.#schedule()
    this.#wantsDrain = peer.#unreadBytes >= WINDOW
    return !this.#wantsDrain
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#schedule()
  }

  end(): void {
    if (this.#ended || this.#closed) return
    this.#ended = true
    this.peer.#peerEnded = true
    this.peer.#schedule()
    this.#schedule()
  }

  destroy(): void {
    if (this.#closed) return
    const peer = this.peer
    // TCP resets a connection that is closed with unread bytes (RFC 2525, section 2.17); what we wrote is dropped too.
    const lost = this.#unreadBytes > 0 || peer.#unreadBytes > 0
    this.#close(undefined)
    if (peer.#closed) return
    if (lost) {
      peer.#close(resetByPeer())
    } else {
      peer.#peerEnded = true
      peer.#schedule()
    }
  }

  reset(): void {
    if (this.#closed) return
    this.#close(undefined)
    if (!this.peer.#closed) this.peer.#close(resetByPeer())
  }

  #close(error: Error | undefined): void {
    this.#closed = true
    this.#error = error
    this.#unread = []
    this.#unreadBytes = 0
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled || this.#handler === undefined) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#deliver(this.#handler!)
    })
  }

  #deliver(handler: SocketHandler): void {
    while (!this.#paused && !this.#closed && this.#unread.length > 0) {
      const chunk = this.#unread.shift()!
      this.#unreadBytes -= chunk.length
      handler.onData(chunk)
    }
    this.peer.#drain(this.#unreadBytes)
    if (this.#peerEnded && !this.#endReported && !this.#paused && !this.#closed && this.#unread.length === 0) {
      this.#endReported = true
      handler.onEnd()
    }
    // Both directions have ended, and everything was read: a clean close.
    if (this.#ended && this.#endReported) this.#closed = true
    if (this.#closed && !this.#closeReported) {
      this.#closeReported = true
      handler.onClose(this.#error)
    }
  }

  #drain(unread: number): void {
    if (!this.#wantsDrain || unread > 0 || this.#closed) return
    this.#wantsDrain = false
    this.#handler?.onDrain()
  }
}

function resetByPeer(): SluiceError {
  return new SluiceError('connection_reset', 'the other side reset the connection', { retryable: true })
}
