import { lstatSync, unlinkSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import { makeFolder } from '../util/folder.ts'
import type { CommandName, Commands, ControlAnswer } from './control-protocol.ts'

/** Does what a command asks. What it throws is the answer too. */
export type ControlHandlers = {
  readonly [Name in CommandName]: (request: Commands[Name]['request']) => Promise<Commands[Name]['result']>
}

export interface Control {
  /** Answers nothing any more and removes the socket. */
  close(): Promise<void>
}

/**
 * Opens the control socket. A file that a server left behind when it was killed is replaced; the socket of one that
 * answers is left alone.
 * @param path of the socket; its folder is made when missing
 * @throws SluiceError `address_in_use` when another server has it, `address_unavailable`
 */
export async function openControl(path: string, handlers: ControlHandlers): Promise<Control> {
  const sockets = new Set<Socket>()
  const create = () =>
    createServer((socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      serve(socket, handlers)
    })
  const server = await listen(create, path)
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

async function listen(create: () => Server, path: string): Promise<Server> {
  try {
    makeFolder(dirname(path))
    return await bind(create(), path)
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw unavailable(path, thrown)
  }
  if (await answers(path)) {
    throw new SluiceError('address_in_use', `another server has the control socket ${path}`, {
      hint: 'Commands reach that one and not this one; give each server a data.dir of its own.',
    })
  }
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path)
    return await bind(create(), path)
  } catch (thrown) {
    throw unavailable(path, thrown)
  }
}

/** Only the user of the server may open the socket, from the moment at which it is there: it is bound within `listen`. */
function bind(server: Server, path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    const before = process.umask(0o177)
    try {
      server.listen(path, () => {
        server.off('error', reject)
        server.on('error', () => {})
        resolve(server)
      })
    } finally {
      process.umask(before)
    }
  })
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const settle = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.on('connect', () => settle(true))
    // Who may not ask cannot know either, and takes nothing away.
    socket.on('error', ({ code }: NodeJS.ErrnoException) => settle(code !== 'ECONNREFUSED'))
  })
}

/** Takes one line and answers it. Whoever sends no line in time, or too long a one, is told nothing. */
function serve(socket: Socket, handlers: ControlHandlers): void {
  let text = ''
  socket.setEncoding('utf8')
  socket.setTimeout(REQUEST_TIMEOUT_MS, () => socket.destroy())
  socket.on('error', () => {})
  socket.on('data', (chunk: string) => {
    text += chunk
    if (text.length > MAX_REQUEST) socket.destroy()
    const end = text.indexOf('\n')
    if (end === -1) return
    socket.removeAllListeners('data').setTimeout(0)
    void answer(text.slice(0, end), handlers).then((answered) => socket.end(`${JSON.stringify(answered)}\n`))
  })
}

const REQUEST_TIMEOUT_MS = 10_000
const MAX_REQUEST = 64 * 1024

async function answer(line: string, handlers: ControlHandlers): Promise<ControlAnswer> {
  try {
    const request = JSON.parse(line) as { readonly command: CommandName }
    const handler = Object.hasOwn(handlers, request.command) ? handlers[request.command] : undefined
    if (handler === undefined) {
      return { ok: false, message: `the server knows no command ${request.command}; it may be older than this program` }
    }
    // What it was sent is looked at by the handler.
    return { ok: true, result: await handler(request as never) }
  } catch (thrown) {
    const { message, hint } = toSluiceError(thrown, 'internal')
    return { ok: false, message, hint }
  }
}

function unavailable(path: string, thrown: unknown): SluiceError {
  const reason = thrown instanceof Error ? thrown.message : String(thrown)
  return new SluiceError('address_unavailable', `the control socket ${path} cannot be opened: ${reason}`, {
    cause: thrown,
    hint: 'The server works without it, and commands such as sluice reload do not reach it.',
  })
}
