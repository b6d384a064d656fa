import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { freePort } from './free-port.ts'

/** A server as a process of its own, which a test may kill: it writes each body to a file before it answers. */
const PROGRAM = `
  const { appendFileSync } = require('node:fs')
  const [file, port] = process.argv.slice(1)
  const server = require('node:http').createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text) => { body += text }).on('end', () => {
      appendFileSync(file, body + '\\n')
      response.end()
    })
  })
  server.listen(Number(port), '127.0.0.1', () => process.send('listening'))
`

export class HttpChild implements AsyncDisposable {
  port = 0
  readonly #file: string
  #process: ChildProcess | undefined

  /** @param file where the bodies go, one a line */
  constructor(file: string) {
    this.#file = file
  }

  /** Starts it, again at the same port when it has run before. */
  async begin(): Promise<void> {
    this.port ||= await freePort()
    const args = ['-e', PROGRAM, this.#file, String(this.port)]
    this.#process = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    await once(this.#process, 'message')
  }

  signal(name: NodeJS.Signals): void {
    this.#process!.kill(name)
  }

  async kill(): Promise<void> {
    const ended = once(this.#process!, 'exit')
    this.signal('SIGKILL')
    await ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process?.exitCode === null && this.#process.signalCode === null) await this.kill()
  }
}
