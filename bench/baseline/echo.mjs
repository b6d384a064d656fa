// Bare node:net: what comes goes back. It knows nothing of lines. Also used for idle connections.
import { serve } from './serve.mjs'

serve((socket) => {
  socket.on('data', (chunk) => socket.write(chunk))
})
