import { createServer } from 'node:net'

/**
 * Listens as every baseline does.
 * @param {(socket: import('node:net').Socket) => void} onSocket gets each connection
 * @param {import('node:net').ServerOpts} [options] added to those that all have
 */
export function serve(onSocket, options) {
  const server = createServer({ noDelay: true, ...options }, (socket) => {
    socket.on('error', () => socket.destroy())
    onSocket(socket)
  })
  server.listen({ host: '127.0.0.1', port: Number(process.env.BENCH_PORT) })
  // A clean exit, so that `--profile` gets its file.
  process.on('SIGTERM', () => process.exit())
}
