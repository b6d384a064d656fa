import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer as createNetServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import {
  ConfigError,
  connect,
  createRegistry,
  createServer,
  defineFormat,
  defineFraming,
  defineStep,
  format,
  framing,
  listen,
  NEED_MORE,
  type SluiceError,
  sink,
  z,
} from '../../src/index.ts'
import { Peer } from '../support/peer.ts'
import { start, temporaryFolder } from '../support/server.ts'

interface Reading {
  readonly device: string
  readonly temp: number
}

/** A server of Node alone, whose answers the test writes. */
async function plainServer(onSocket: (socket: Socket) => void) {
  const sockets = new Set<Socket>()
  const server = createNetServer((socket) => {
    sockets.add(socket.on('error', () => undefined))
    onSocket(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    host: '127.0.0.1',
    port: (server.address() as { port: number }).port,
    async [Symbol.asyncDispose]() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

describe('a chain', () => {
  it('does what the same steps in a configuration do', async () => {
    const scales = listen({
      port: 0,
      framing: framing.line(),
      format: format.json<Reading>(),
      dataflow: (flow) =>
        flow
          .filter((msg) => msg.temp > 30, { else: (dropped) => dropped.reply((msg) => `SKIP ${msg.device}`) })
          .map((msg) => ({ device: msg.device, f: (msg.temp * 9) / 5 + 32 }))
          .to(sink.sqlite({ file: 'readings.db', table: 'readings' }))
          .use(async (msg) => ({ ...msg, seen: true }))
          .reply((msg, { client }) => `OK ${msg.device} ${msg.f} ${msg.seen} ${client.endpoint}`),
    })
    await using running = await start({ listen: { scales } })
    await using peer = await Peer.connect(running.port())
    peer.send('{"device":"a","temp":20}\n{"device":"b","temp":40}\n')
    expect(await peer.finish().end()).toBe('SKIP a\nOK b 104 true scales\n')
  })
})

describe('createServer', () => {
  it('has no workers: a program is one process', () => {
    const create = () => createServer({ workers: 2, listen: { a: { port: 0, dataflow: [{ log: 'x' }] } } })
    expect(create).toThrow('WORKERS_UNSUPPORTED')
  })

  it('says what a chain needs that is not given back', () => {
    const forgotten = { port: 0, dataflow: (flow: { reply(text: string): unknown }) => void flow.reply('OK') }
    expect(() => listen(forgotten as never)).toThrow('a dataflow must return its chain')
  })

  it('names every mistake at once', () => {
    const wrong = { listen: { a: { port: 'x', framming: 'line' }, b: { dataflow: [{ filtre: 'msg' }] } } } as never
    try {
      createServer(wrong)
      expect.unreachable()
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError)
      const { message, problems } = error as ConfigError
      expect(problems.length).toBeGreaterThanOrEqual(4)
      for (const part of ['port', 'framming', 'filtre', 'did you mean filter?']) expect(message).toContain(part)
    }
  })

  it('takes framings, formats and steps of the user from a registry', async () => {
    const registry = createRegistry()
    const options = z.strictObject({})
    registry.add(
      defineFraming({
        name: 'pairs',
        summary: 'Two bytes are a frame.',
        options,
        examples: [],
        create: () => ({
          createDecoder: () => ({
            next(_bytes, from, to, found) {
              if (to - from < 2) return NEED_MORE
              found.start = from
              found.end = from + 2
              return from + 2
            },
          }),
          encode: (payload, out) => out.write(payload),
        }),
      }),
    )
    registry.add(
      defineFormat({
        name: 'upper',
        summary: 'Text in capitals.',
        options,
        examples: [],
        rejects: [],
        create: () => ({
          parse: (bytes, start, end) => bytes.toString('latin1', start, end).toUpperCase(),
          print: (value) => Buffer.from(String(value)),
        }),
      }),
    )
    registry.add(
      defineStep({
        name: 'twice',
        summary: 'Gives each message twice.',
        options,
        examples: [],
        create: () => ({ run: (message) => [message, message] }),
      }),
    )
    const dataflow = [{ twice: {} }, { reply: '${msg}' }] as never
    const entry = { port: 0, framing: 'pairs', format: 'upper', dataflow } as never
    await using running = await start({ listen: { mine: entry } }, { registry })
    await using peer = await Peer.connect(running.port())
    expect(await peer.send('abcd').finish().end()).toBe('ABABCDCD')
  })
})

describe('connect', () => {
  const json = { framing: framing.line(), format: format.json<{ id: number }>() }

  it('asks and gets the answers in their order', async () => {
    await using running = await start({
      listen: { echo: { port: 0, format: 'json', dataflow: [{ reply: { value: 'msg' } }] } },
    })
    await using connection = await connect({ host: '127.0.0.1', port: running.port(), ...json })
    const ids = Array.from({ length: 100 }, (_, id) => id)
    const answers = await Promise.all(ids.map((id) => connection.request({ id })))
    expect(answers).toEqual(ids.map((id) => ({ id })))
    expect(connection.remote).toEqual({ ip: '127.0.0.1', port: running.port() })
  })

  it('gives what arrives with for await, to the end', async () => {
    await using server = await plainServer((socket) => socket.end('{"id":1}\n{"id":2}\n{"id":3}\n'))
    await using connection = await connect({ ...server, ...json })
    const seen: number[] = []
    for await (const { id } of connection) seen.push(id)
    expect(seen).toEqual([1, 2, 3])
    expect(await connection.receive()).toBeUndefined()
    await expect(connection.send({ id: 4 })).rejects.toMatchObject({ code: 'connection_closed' })
  })

  it('gives up a request in time, and its late answer is not given to the next', async () => {
    let late = ''
    await using server = await plainServer((socket) => {
      socket.on('data', (chunk) => {
        if (late === '') late = chunk.toString()
        else socket.write(late + chunk.toString())
      })
    })
    await using connection = await connect({ ...server, ...json })
    await expect(connection.request({ id: 1 }, { timeout: 20 })).rejects.toMatchObject({ code: 'request_timeout' })
    expect(await connection.request({ id: 2 })).toEqual({ id: 2 })
  })

  it('a request that could not be sent takes no answer from another', async () => {
    await using server = await plainServer((socket) => void socket.pipe(socket))
    await using connection = await connect<unknown>({ ...server, format: format.json() })
    await expect(connection.request(1n)).rejects.toMatchObject({ code: 'format_not_printable' })
    expect(await connection.request({ id: 2 })).toEqual({ id: 2 })
  })

  it('reads no more than a mebibyte ahead of its reader, and all of it when it reads', async () => {
    const line = `"${'x'.repeat(100_000)}"\n`
    const count = 300
    const stuck = Promise.withResolvers<Socket>()
    await using server = await plainServer((socket) => {
      for (let i = 0; i < count; i++) socket.write(line)
      socket.end()
      stuck.resolve(socket)
    })
    await using connection = await connect<string>({ ...server, format: format.json<string>() })
    const socket = await stuck.promise
    let left = -1
    // What the kernel takes is bounded too, so at last nothing moves any more.
    while (left !== socket.writableLength) {
      left = socket.writableLength
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    expect(left).toBeGreaterThan(5_000_000)
    let read = 0
    for await (const message of connection) {
      expect(message.length).toBe(100_000)
      read++
    }
    expect(read).toBe(count)
  })

  it('gives up in time also while the other side takes nothing', async () => {
    let other: Socket | undefined
    await using server = await plainServer((socket) => {
      other = socket.pause()
    })
    await using connection = await connect({ ...server, format: format.text() })
    const unhandled: unknown[] = []
    const note = (error: unknown) => void unhandled.push(error)
    process.on('unhandledRejection', note)
    const late = connection.request('x'.repeat(32 * 1024 * 1024), { timeout: 20 })
    await expect(late).rejects.toMatchObject({ code: 'request_timeout' })
    await new Promise(setImmediate)
    process.off('unhandledRejection', note)
    expect(unhandled).toEqual([])
    other?.destroy()
  })

  it('fails a request whose connection closes, and a stream that cannot be read', async () => {
    await using gone = await plainServer((socket) => socket.once('data', () => socket.end()))
    await using connection = await connect({ ...gone, ...json })
    await expect(connection.request({ id: 1 })).rejects.toMatchObject({ code: 'connection_lost' })
    await using garbled = await plainServer((socket) => socket.write('{"id":1}\noops\n'))
    await using other = await connect({ ...garbled, ...json })
    expect(await other.receive()).toEqual({ id: 1 })
    await expect(other.receive()).rejects.toMatchObject({ code: 'format_invalid' })
  })

  it('says in one sentence that nobody listens', async () => {
    const { port } = await (async () => {
      await using server = await plainServer(() => undefined)
      return { port: server.port }
    })()
    const error = await connect({ host: '127.0.0.1', port }).catch((thrown: SluiceError) => thrown)
    expect(error).toMatchObject({
      code: 'connection_refused',
      message: `nothing listens on 127.0.0.1:${port} (connection refused)`,
      hint: 'Check the address, and that the program or device there is running.',
    })
    await expect(connect({ host: '127.0.0.1', port, framing: 'lines' })).rejects.toBeInstanceOf(ConfigError)
  })
})

describe('importing the library', () => {
  const source = pathToFileURL(join(import.meta.dirname, '../../src/')).href

  /** Which modules Node loads when a program imports something. */
  async function loadedBy(specifier: string): Promise<string[]> {
    using folder = temporaryFolder()
    const hook = join(folder.path, 'hook.mjs')
    writeFileSync(
      hook,
      `import { registerHooks } from 'node:module'
       registerHooks({ load(url, context, next) { console.log(url); return next(url, context) } })`,
    )
    const program = `await import(${JSON.stringify(specifier)})`
    const args = ['--import', pathToFileURL(hook).href, '--input-type=module', '-e', program]
    const { stdout } = await promisify(execFile)(process.execPath, args)
    return stdout.split('\n').filter((url) => url.startsWith('file:'))
  }

  const unwanted = (urls: readonly string[]) =>
    urls.filter(
      (url) =>
        ['cli/', 'admin/', 'observe/'].some((part) => url.startsWith(source + part)) ||
        /node_modules\/(commander|pino|prom-client|fastify)\//.test(url),
    )

  it('loads no command line, no admin server, no log and no metrics client', async () => {
    const urls = await loadedBy(`${source}index.ts`)
    expect(urls.length).toBeGreaterThan(50)
    expect(unwanted(urls)).toEqual([])
  })

  it('would be noticed here', async () => {
    const urls = await loadedBy(`${source}cli/run-file.ts`)
    expect(unwanted(urls).some((url) => url.includes('/admin/'))).toBe(true)
    expect(unwanted(urls).some((url) => url.includes('/node_modules/'))).toBe(true)
  })
})
