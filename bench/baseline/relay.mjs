// Bare node:net: two pipes. It counts nothing, and a side that breaks takes the other with it.
import { connect } from 'node:net'
import { serve } from './serve.mjs'

const ends = { allowHalfOpen: true }

serve((client) => {
  const server = connect({ host: '127.0.0.1', port: Number(process.env.BENCH_UPSTREAM), noDelay: true, ...ends })
  server.on('error', () => client.destroy())
  client.on('close', () => server.destroy())
  client.pipe(server)
  server.pipe(client)
}, ends)
