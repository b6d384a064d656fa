// Lines asked with `connect()` of the library. Usage: node client-sluice.mjs PORT DEPTH COUNT LIBRARY
import { measureRequests } from './client-load.mjs'

const [port, depth, count, library] = process.argv.slice(2)
const { connect } = await import(library)
const connection = await connect({ host: '127.0.0.1', port: Number(port) })
await measureRequests((text) => connection.request(text), Number(depth), Number(count))
await connection.close()
