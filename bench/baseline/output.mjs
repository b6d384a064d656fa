import { createWriteStream } from 'node:fs'

const out = createWriteStream(process.env.BENCH_OUT, { flags: 'a', highWaterMark: 1 << 20 })

/** Appends bytes or text to the output and holds the sender back while the file falls behind. */
export function append(socket, data) {
  if (out.write(data) || socket.isPaused()) return
  socket.pause()
  out.once('drain', () => socket.resume())
}
