import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'

/** A real nginx before another server, with a folder of its own. */
export class Nginx implements AsyncDisposable {
  readonly port: number
  readonly #folder: string
  readonly #process: ChildProcess

  private constructor(port: number, folder: string, process: ChildProcess) {
    this.port = port
    this.#folder = folder
    this.#process = process
  }

  /**
   * @param upstream port of the server behind it
   * @param settings directives for the server
   */
  static async start(upstream: number, settings: string): Promise<Nginx> {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-nginx-'))
    const port = await freePort()
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder};`)
    const config = `
      daemon off; master_process off; error_log stderr; pid ${folder}/pid;
      events {}
      http {
        access_log off; ${temporary.join(' ')}
        server {
          listen 127.0.0.1:${port}; ${settings}
          location / { proxy_pass http://127.0.0.1:${upstream}; }
        }
      }`
    writeFileSync(join(folder, 'nginx.conf'), config)
    const child = spawn('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const nginx = new Nginx(port, folder, child)
    let log = ''
    child.stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString()
    })
    while (!(await isOpen(port))) if (child.exitCode !== null) throw new Error(`nginx has ended:\n${log}`)
    return nginx
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGTERM')
    await ended
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** It says nothing when it is ready, so it is asked. */
async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
