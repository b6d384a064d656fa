import type { Readable, Writable } from 'node:stream'
import type { Socket } from '../contracts/transport.ts'

/**
 * Passes bytes both ways, and neither side faster than the other reads. The end of `input` is passed on as a
 * half-close; what still comes back is written.
 * @param render what is written for a read
 * @returns when the other side has closed and everything is written
 * @throws what broke the connection
 */
export function pipe(
  socket: Socket,
  input: Readable,
  output: Writable,
  render: (chunk: Buffer) => Buffer | string,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const stop = () => {
    input.off('data', send).off('end', end).off('error', end)
    input.destroy()
  }
  const send = (chunk: Buffer) => {
    if (!socket.write(chunk)) input.pause()
  }
  const end = () => socket.end()
  // A reader that has seen enough, as in `| head -1`.
  output.once('error', () => socket.destroy())
  socket.start({
    onData(chunk) {
      if (output.write(render(chunk))) return
      socket.pause()
      output.once('drain', () => socket.resume())
    },
    onEnd() {
      stop()
      socket.end()
    },
    onDrain: () => void input.resume(),
    onClose(error) {
      stop()
      if (error !== undefined) reject(error)
      else if (output.writableNeedDrain && output.writable) output.once('drain', resolve)
      else resolve()
    },
  })
  input.on('data', send).on('end', end).on('error', end)
  return promise
}
