// Lines to a file, as fast as we can write it by hand: whole lines only, so that connections do not mix, and no line is
// ever looked at. What is left of the last line waits for the next read.
import { append } from './output.mjs'
import { serve } from './serve.mjs'

const NEWLINE = 10

serve((socket) => {
  let tail
  socket.on('data', (chunk) => {
    const end = chunk.lastIndexOf(NEWLINE) + 1
    if (end === 0) {
      tail = tail === undefined ? chunk : Buffer.concat([tail, chunk])
      return
    }
    if (tail !== undefined) append(socket, tail)
    append(socket, chunk.subarray(0, end))
    tail = end < chunk.length ? Buffer.from(chunk.subarray(end)) : undefined
  })
})
