// Lines asked with bare node:net: answers in order, the writes of one turn joined; no timeouts, no limits, no losses told.
// Usage: node client.mjs PORT DEPTH COUNT
import { once } from 'node:events'
import { connect } from 'node:net'
import { measureRequests } from '../client-load.mjs'

const [port, depth, count] = process.argv.slice(2).map(Number)
const socket = connect({ host: '127.0.0.1', port, noDelay: true })
await once(socket, 'connect')

const waiting = []
let rest = ''
let out = ''
socket.on('data', (chunk) => {
  const lines = (rest + chunk.toString('utf8')).split('\n')
  rest = lines.pop()
  for (const line of lines) waiting.shift()(line)
})

function flush() {
  socket.write(out)
  out = ''
}

function request(text) {
  if (out === '') process.nextTick(flush)
  out += `${text}\n`
  return new Promise((resolve) => {
    waiting.push(resolve)
  })
}

await measureRequests(request, depth, count)
socket.destroy()
