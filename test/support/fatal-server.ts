// A server whose sink may kill it, to be run as a process of its own: `node fatal-server.ts FOLDER [down | hangs]`.
// The sink appends each line to FOLDER/delivered.txt and aborts the process at one that begins with `poison`. It writes
// to standard output what a test waits for.
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Config, createServer, type Sink, SluiceError } from '../../src/index.ts'
import { registryWith } from './parts.ts'

const [, , folder = '.', mood] = process.argv

const write: Sink['write'] = (batch) => {
  if (mood === 'down') throw new SluiceError('sink_unavailable', 'down', { retryable: true })
  if (mood === 'hangs') {
    console.log('hangs')
    return new Promise(() => {})
  }
  for (const { msg } of batch.messages) {
    if (String(msg).startsWith('poison')) process.abort()
    appendFileSync(join(folder, 'delivered.txt'), `${msg}\n`)
  }
}

const step = { fatal: { buffer: 'disk' }, id: 'store', onError: [{ fatal: {} }] }
const config = { listen: { lines: { port: 0, dataflow: [step, { reply: 'OK ${msg}' }] } } } as unknown as Config
const server = createServer(config, { baseDir: folder, registry: registryWith('fatal', write) })
server.events.on('buffer.suspected', ({ deaths, blamed }) => console.log(`suspected deaths=${deaths} blamed=${blamed}`))
server.events.on('message.failed', ({ message, error, outcome }) =>
  console.log(`${message.msg} ${error.code} ${outcome}`),
)
server.events.on('sink.retried', () => console.log('retried'))
await server.start()
console.log(`port ${server.address('lines')!.port}`)
const timer = setInterval(() => {
  if (server.buffers[0]!.messages === 0) console.log('nothing waits')
}, 20)
process.once('SIGTERM', async () => {
  clearInterval(timer)
  await server.stop({ deadline: 100 })
})
