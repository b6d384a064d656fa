import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'

/** A server of Node alone, whose answers the test writes. */
export interface PlainServer extends AsyncDisposable {
  /** Where it listens. */
  readonly at: { readonly host: string; readonly port: number }
  /** Connections that are open. */
  readonly sockets: ReadonlySet<Socket>
  /** Connections so far. */
  readonly accepted: number
  /** Lines received so far, on all connections. */
  readonly lines: readonly string[]
  /** Waits until a condition holds that depends on what this server has seen. */
  until(condition: (server: PlainServer) => boolean): Promise<void>
}

/**
 * Starts one on 127.0.0.1.
 * @param onLine gives the answer to a line, without its end; undefined for none
 * @param onSocket sees each connection
 */
export async function startPlainServer(
  onLine: (line: string, socket: Socket) => string | undefined = () => undefined,
  onSocket: (socket: Socket) => void = () => undefined,
): Promise<PlainServer> {
  const sockets = new Set<Socket>()
  const lines: string[] = []
  const waiting = new Set<() => void>()
  let accepted = 0
  const look = () => {
    for (const one of waiting) one()
  }
  const server = createServer((socket) => {
    accepted++
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => {
      sockets.delete(socket)
      look()
    })
    let rest: string[] = []
    socket.on('data', (chunk) => {
      const found = chunk.toString('latin1').split('\n')
      rest.push(found[0]!)
      if (found.length === 1) return
      found[0] = rest.join('')
      rest = [found.pop()!]
      for (const line of found) {
        lines.push(line)
        const answer = onLine(line, socket)
        if (answer !== undefined && socket.writable) socket.write(`${answer}\n`)
      }
      look()
    })
    onSocket(socket)
    look()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const self: PlainServer = {
    at: { host: '127.0.0.1', port: (server.address() as { port: number }).port },
    sockets,
    lines,
    get accepted() {
      return accepted
    },
    until: (condition) =>
      new Promise((resolve) => {
        const check = () => {
          if (!condition(self)) return
          waiting.delete(check)
          resolve()
        }
        waiting.add(check)
        check()
      }),
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
  return self
}

/** A server that answers a line when it is told to. */
export interface SlowServer extends PlainServer {
  /** Waits until a line has come that has had no answer, and answers it, with itself unless told otherwise. */
  answer(line: string, text?: string): Promise<void>
}

/** Starts one on 127.0.0.1. */
export async function startSlowServer(): Promise<SlowServer> {
  const open: { readonly line: string; readonly socket: Socket }[] = []
  const server = await startPlainServer((line, socket) => {
    open.push({ line, socket })
    return undefined
  })
  const answer = async (which: string, text = which) => {
    const isIt = ({ line }: { readonly line: string }) => line === which
    await server.until(() => open.some(isIt))
    const [one] = open.splice(open.findIndex(isIt), 1)
    one!.socket.write(`${text}\n`)
  }
  return Object.assign(server, { answer })
}
