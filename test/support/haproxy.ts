import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'

/** A real HAProxy with one frontend, and a folder of its own. */
export class HaProxy implements AsyncDisposable {
  readonly port: number
  readonly #folder: string
  readonly #process: ChildProcess

  private constructor(port: number, folder: string, process: ChildProcess) {
    this.port = port
    this.#folder = folder
    this.#process = process
  }

  /** @param frontend gives its lines for a port to bind */
  static async start(frontend: (port: number) => string): Promise<HaProxy> {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-haproxy-'))
    const port = await freePort()
    const file = join(folder, 'haproxy.cfg')
    const lines = frontend(port).trim().split('\n')
    const config = [
      'defaults',
      ...['connect', 'client', 'server'].map((side) => `  timeout ${side} 10s`),
      'frontend front',
      ...lines.map((line) => `  ${line.trim()}`),
    ]
    writeFileSync(file, `${config.join('\n')}\n`)
    // In master-worker mode it says on standard error when its worker is ready.
    const child = spawn('haproxy', ['-W', '-f', file], { stdio: ['ignore', 'ignore', 'pipe'] })
    const haproxy = new HaProxy(port, folder, child)
    let log = ''
    while (!log.includes('Loading success')) {
      const [chunk] = await Promise.race([once(child.stderr, 'data'), once(child, 'exit')])
      if (child.exitCode !== null) throw new Error(`haproxy has ended:\n${log}`)
      log += String(chunk)
    }
    return haproxy
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGTERM')
    await ended
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
