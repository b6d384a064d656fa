import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command, type Finished, run, sluice } from '../support/command.ts'
import { freePort } from '../support/free-port.ts'
import { temporaryFolder } from '../support/server.ts'
import type { Setup } from './setup.ts'
import { within } from './within.ts'

/** What a start, or an end by a signal, may take at most, in milliseconds. A drain has 15 s, and machines are busy. */
const MAX_WAIT = 60_000

/** The built program with one configuration, which can be killed and started again on the same port and the same data. */
export class ServerProcess implements AsyncDisposable {
  /** It stays the same from start to start. */
  readonly port: number
  /** Everything that must survive lies here. */
  readonly store: string
  readonly #file: string
  readonly #remove: () => void
  #command: Command | undefined

  private constructor(port: number, store: string, file: string, remove: () => void) {
    this.port = port
    this.store = store
    this.#file = file
    this.#remove = remove
  }

  /**
   * Writes the configuration into a temporary folder, which goes with this object. Starts nothing.
   * @param store folder for the data, on a disk of its own say. Default: in the temporary folder
   */
  static async create(setup: Pick<Setup, 'config'>, store?: string): Promise<ServerProcess> {
    const folder = temporaryFolder()
    const at = { port: await freePort(), store: store ?? join(folder.path, 'store') }
    mkdirSync(at.store, { recursive: true })
    const file = join(folder.path, 'sluice.yaml')
    writeFileSync(file, setup.config(at))
    return new ServerProcess(at.port, at.store, file, () => folder[Symbol.dispose]())
  }

  /** Puts another configuration in the place of the one that it was started with. It is not told. */
  configure(setup: Pick<Setup, 'config'>): void {
    writeFileSync(this.#file, setup.config(this))
  }

  /** `sluice reload`, to its end. */
  reload(): Promise<Finished> {
    return within(MAX_WAIT, 'sluice reload ends', run(process.execPath, [sluice, 'reload', this.#file]))
  }

  get pid(): number {
    return this.#running.pid!
  }

  /** What it has written to its log since the last start. */
  get log(): string {
    return this.#running.stderr
  }

  /** Waits for the first warning or error in its log. Rejects when it ends without one. */
  async complaint(): Promise<string> {
    const find = () => this.log.split('\n').find((line) => /^\{"level":"(?:warn|error)".*\}$/.test(line))
    await this.#running.until(() => find() !== undefined)
    return (JSON.parse(find()!) as { text: string }).text
  }

  /** The process of a worker that has begun in its place as the given one, from 1 on. Waits until it takes connections. */
  async worker(worker: number, life: number): Promise<number> {
    const lives = () =>
      this.log
        .split('\n')
        .filter((line) => line.includes('"worker.started"') && line.endsWith('}'))
        .map((line) => JSON.parse(line) as { worker: number; pid: number })
        .filter((line) => line.worker === worker)
    await within(
      MAX_WAIT,
      'a worker is started',
      this.#running.until(() => lives().length >= life),
    )
    return lives()[life - 1]!.pid
  }

  /** Starts it and waits until it listens. Rejects when it ends instead, with what it wrote. */
  async start(): Promise<void> {
    this.spawn()
    await within(MAX_WAIT, 'the server listens', this.#running.hear('Ctrl-C stops the server.'))
  }

  /** Starts it and waits for nothing. @param tracer a command that runs it */
  spawn(tracer: readonly string[] = []): void {
    const [program, ...args] = [...tracer, process.execPath, sluice, 'run', '--hints', this.#file]
    this.#command = new Command(program!, args)
  }

  /** Waits until it, or what runs it, has written this to standard error. Rejects when it ends before. */
  async logged(text: string): Promise<void> {
    await this.#running.until(({ stderr }) => stderr.includes(text))
  }

  /** Starts it, and kills it while it starts. */
  async killWhileStarting(afterMs: number): Promise<void> {
    this.spawn()
    await sleep(afterMs)
    await this.kill()
  }

  /** Waits until it listens or has ended. */
  async settled(): Promise<'listening' | Finished> {
    const listening = this.#running.hear('Ctrl-C stops the server.').then(() => 'listening' as const)
    listening.catch(() => undefined)
    // One that ends does so with an error of the other promise; what it says is in this one.
    const finished = this.#running.finished
    return within(MAX_WAIT, 'the server listens or ends', Promise.race([listening.catch(() => finished), finished]))
  }

  signal(signal: NodeJS.Signals): void {
    this.#running.signal(signal)
  }

  /** Stops it as it is, and waits until no thread of it runs or is in a system call. Only `kill` ends that. */
  async freeze(): Promise<void> {
    this.signal('SIGSTOP')
    const tasks = `/proc/${this.pid}/task`
    const isStopped = (task: string) => / T \d+/.test(readFileSync(`${tasks}/${task}/stat`, 'utf8').split(')').at(-1)!)
    while (!readdirSync(tasks).every(isStopped)) await sleep(1)
  }

  /** Waits for the end of the process; it must have been asked for. */
  finished(): Promise<Finished> {
    return within(MAX_WAIT, 'the server ends', this.#running.finished)
  }

  /** kill -9. */
  kill(): Promise<Finished> {
    this.signal('SIGKILL')
    return this.finished()
  }

  /** SIGTERM: it finishes what it has, and ends. */
  stop(): Promise<Finished> {
    this.signal('SIGTERM')
    return this.finished()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#command?.[Symbol.asyncDispose]()
    this.#remove()
  }

  get #running(): Command {
    if (this.#command === undefined) throw new Error('the server has not been started')
    return this.#command
  }
}
