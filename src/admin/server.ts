import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type Address, formatAddress } from '../contracts/client.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { ServerState } from '../engine/server.ts'

export interface AdminOptions {
  /** Default `127.0.0.1`: nobody outside this machine can reach it. */
  readonly host?: string
  /** 0 lets the system choose. */
  readonly port: number
  readonly metrics: { readonly contentType: string; text(): Promise<string> }
  /** What the server is doing; asked at every request for readiness. */
  health(): ServerState
}

export interface Admin {
  readonly address: Address
  /** Stops at once: requests that are being answered are cut off. */
  close(): Promise<void>
}

/**
 * Serves metrics and health over HTTP:
 *
 * - `/metrics`: Prometheus' text format
 * - `/health/live`: 200 as long as the process works
 * - `/health/ready`: 200 while the server takes connections, else 503; the body names the causes
 *
 * @throws SluiceError `address_in_use`, `address_unavailable`, `permission_denied`
 */
export async function startAdmin({ host = '127.0.0.1', port, metrics, health }: AdminOptions): Promise<Admin> {
  const routes: Record<string, () => Answer | Promise<Answer>> = {
    '/metrics': async () => ({ status: 200, type: metrics.contentType, body: await metrics.text() }),
    '/health/live': () => json(200, { live: true }),
    '/health/ready': () => readiness(health()),
  }
  const server = createServer(
    { maxHeaderSize: 8192, headersTimeout: 5000, requestTimeout: 10_000, keepAliveTimeout: 5000 },
    (request, response) => void answer(routes, request, response),
  )
  server.maxConnections = 100
  // What is no HTTP gets no answer that could be mistaken for one.
  server.on('clientError', (_, socket) => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, { ip: host, port })))
    server.listen(port, host, resolve)
  })
  const bound = server.address() as { address: string; port: number }
  return {
    address: { ip: bound.address, port: bound.port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

async function answer(
  routes: Readonly<Record<string, () => Answer | Promise<Answer>>>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = (request.url ?? '').split('?', 1)[0]!
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined
  let result: Answer
  if (route === undefined) {
    result = json(404, { error: 'not found', paths: Object.keys(routes) })
  } else if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD')
    result = json(405, { error: 'only GET is allowed here' })
  } else {
    result = await Promise.resolve()
      .then(route)
      .catch(() => json(500, { error: 'internal' }))
  }
  response.writeHead(result.status, {
    'content-type': result.type,
    'content-length': Buffer.byteLength(result.body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  })
  response.end(request.method === 'HEAD' ? undefined : result.body)
}

function json(status: number, body: unknown): Answer {
  return { status, type: 'application/json; charset=utf-8', body: `${JSON.stringify(body)}\n` }
}

function readiness(state: ServerState): Answer {
  const cause = NOT_READY[state]
  return cause === undefined
    ? json(200, { ready: true, state, causes: [] })
    : json(503, { ready: false, state, causes: [cause] })
}

const NOT_READY: Readonly<Record<ServerState, string | undefined>> = {
  new: 'the server has not started yet',
  starting: 'the server is starting',
  running: undefined,
  draining: 'the server is stopping and accepts no more connections',
  stopped: 'the server has stopped',
}

function listenError(error: NodeJS.ErrnoException, address: Address): SluiceError {
  const where = `admin: ${formatAddress(address)}`
  const options = { cause: error, hint: 'Choose another admin.port.' }
  if (error.code === 'EADDRINUSE') {
    return new SluiceError('address_in_use', `admin: something else listens on ${formatAddress(address)}`, options)
  }
  if (error.code === 'EACCES') {
    return new SluiceError('permission_denied', `${where} is not allowed for this program`, options)
  }
  return new SluiceError('address_unavailable', `${where} cannot be listened on: ${error.message}`, {
    cause: error,
    hint: 'Check admin.host and admin.port.',
  })
}
