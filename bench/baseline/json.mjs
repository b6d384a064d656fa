// JSON lines filtered and rewritten, as fast as we can write it by hand with a full JSON.parse of each line: one decode
// and one write for each read.
import { append } from './output.mjs'
import { serve } from './serve.mjs'

const NEWLINE = 10

function convert(text) {
  let result = ''
  let from = 0
  for (let to = text.indexOf('\n'); to >= 0; to = text.indexOf('\n', from)) {
    const { device, temp } = JSON.parse(text.slice(from, to))
    if (temp > 30) result += `${JSON.stringify({ device, temp, f: (temp * 9) / 5 + 32 })}\n`
    from = to + 1
  }
  return result
}

serve((socket) => {
  let tail
  socket.on('data', (chunk) => {
    const end = chunk.lastIndexOf(NEWLINE) + 1
    if (end === 0) {
      tail = tail === undefined ? chunk : Buffer.concat([tail, chunk])
      return
    }
    const whole = chunk.subarray(0, end)
    const result = convert((tail === undefined ? whole : Buffer.concat([tail, whole])).toString())
    if (result !== '') append(socket, result)
    tail = end < chunk.length ? Buffer.from(chunk.subarray(end)) : undefined
  })
})
