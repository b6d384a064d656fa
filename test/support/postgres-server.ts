import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, type QueryResultRow } from 'pg'
import { freePort } from './free-port.ts'

/** The folder of the server's programs, newest version first; undefined where the package is not installed. */
export function findPostgres(): string | undefined {
  const root = '/usr/lib/postgresql'
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : []
  return versions.map((version) => join(root, version, 'bin')).find((bin) => existsSync(join(bin, 'initdb')))
}

/** A real server with a folder of its own, on a port that the system gave, that a test may stop, kill and start again. */
export class PostgresServer implements AsyncDisposable {
  static readonly password = 's3cret-pass word'
  readonly port: number
  readonly folder: string
  readonly #bin: string
  #process: ChildProcess | undefined

  private constructor(bin: string, folder: string, port: number) {
    this.#bin = bin
    this.folder = folder
    this.port = port
  }

  /** Makes a database cluster and starts its server. Everybody needs the password. */
  static async start(settings: Readonly<Record<string, string>> = {}): Promise<PostgresServer> {
    const bin = findPostgres()
    if (bin === undefined) throw new Error('the package postgresql is not installed')
    const folder = mkdtempSync(join(tmpdir(), 'sluice-postgres-'))
    const user = unprivileged()
    if (user !== undefined) chownSync(folder, user.uid, user.gid)
    const data = join(folder, 'data')
    const password = join(folder, 'password')
    writeFileSync(password, PostgresServer.password)
    execFileSync(
      join(bin, 'initdb'),
      [
        '-D',
        data,
        '-U',
        'sluice',
        '-A',
        'scram-sha-256',
        `--pwfile=${password}`,
        '--no-sync',
        '-E',
        'UTF8',
        '--locale=C',
      ],
      { ...user, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] },
    )
    const server = new PostgresServer(bin, folder, await freePort())
    await server.begin(settings)
    return server
  }

  /** Starts the server, or starts it again. Resolves when it takes connections. */
  async begin(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    const options = { listen_addresses: '127.0.0.1', unix_socket_directories: this.folder, ...settings }
    const args = Object.entries(options).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const server = spawn(
      join(this.#bin, 'postgres'),
      ['-D', join(this.folder, 'data'), '-p', String(this.port), ...args],
      { ...unprivileged(), cwd: this.folder, stdio: ['ignore', 'ignore', 'pipe'] },
    )
    this.#process = server
    let log = ''
    await new Promise<void>((resolve, reject) => {
      server.stderr.setEncoding('utf8').on('data', (text: string) => {
        log += text
        if (/database system is ready to accept (?:read-only )?connections/.test(log)) resolve()
      })
      server.once('exit', () => reject(new Error(`the server has ended:\n${log}`)))
    })
  }

  /** Starts again as a standby, which replays what a primary has written and takes no writes; here there is no primary. */
  async beginStandby(): Promise<void> {
    await this.stop()
    writeFileSync(this.#signalFile, '', { mode: 0o666 })
    await this.begin()
  }

  /** Ends {@link beginStandby}. */
  async endStandby(): Promise<void> {
    await this.stop()
    rmSync(this.#signalFile)
    await this.begin()
  }

  /** Puts a file into the server's folder that only the server can read. @returns its path */
  write(name: string, content: string): string {
    const path = join(this.folder, name)
    writeFileSync(path, content, { mode: 0o600 })
    const user = unprivileged()
    if (user !== undefined) chownSync(path, user.uid, user.gid)
    return path
  }

  get url(): string {
    const password = encodeURIComponent(PostgresServer.password)
    return `postgres://sluice:${password}@127.0.0.1:${this.port}/postgres`
  }

  /** Runs statements as a session of its own. */
  async query<Row extends QueryResultRow>(text: string): Promise<Row[]> {
    await using session = await this.session()
    const result: unknown = await session.client.query(text)
    return (result as { rows?: Row[] }).rows ?? []
  }

  /** Leaves nothing of an earlier test, whose last sessions may still be about to end, and makes tables. */
  async reset(tables: string): Promise<void> {
    for (;;) {
      try {
        await this.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sluice'`)
        await this.query(`DROP SCHEMA public CASCADE; CREATE SCHEMA public; ${tables}`)
        return
      } catch (error) {
        // A session that ends holds its locks until it has.
        if ((error as { code?: string }).code !== DEADLOCK) throw error
      }
    }
  }

  /** A session that a test keeps open, to hold a lock for example. */
  async session(): Promise<{ readonly client: Client } & AsyncDisposable> {
    const client = new Client(this.url)
    client.on('error', () => undefined)
    await client.connect()
    return { client, [Symbol.asyncDispose]: () => client.end() }
  }

  /** Ends all its processes at once, as a crash does. Resolves when none of them is left, so that it can begin again. */
  async kill(): Promise<void> {
    const server = this.#process
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return
    // One that stands still makes no new processes while they are counted.
    server.kill('SIGSTOP')
    const children = this.#children()
    const ended = once(server, 'exit')
    server.kill('SIGKILL')
    for (const pid of children) signal(pid, 'SIGKILL')
    await ended
    while (children.some(isRunning)) await new Promise(setImmediate)
    this.#process = undefined
  }

  /** Ends it in good order, ending its sessions. */
  async stop(): Promise<void> {
    const server = this.#process
    if (server === undefined) return
    const ended = once(server, 'exit')
    server.kill('SIGINT')
    await ended
    this.#process = undefined
  }

  /** Lets all its processes stand still: connections stay, and nobody answers. */
  freeze(): void {
    for (const pid of [this.#process!.pid!, ...this.#children()]) signal(pid, 'SIGSTOP')
  }

  thaw(): void {
    for (const pid of [this.#process!.pid!, ...this.#children()]) signal(pid, 'SIGCONT')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** https://www.postgresql.org/docs/current/warm-standby.html */
  get #signalFile(): string {
    return join(this.folder, 'data', 'standby.signal')
  }

  #children(): number[] {
    const { pid } = this.#process!
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It has ended meanwhile.
  }
}

/** False also for a process that has ended and that nobody has asked for its result. */
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

/** The server refuses to run as root; the package has made a user for it. */
function unprivileged(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

/** `deadlock_detected`: https://www.postgresql.org/docs/15/errcodes-appendix.html */
const DEADLOCK = '40P01'
