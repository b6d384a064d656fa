import { existsSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Command, type CommandOptions, type Finished, run, sluice } from './command.ts'
import { temporaryFolder } from './server.ts'

/** Runs a command of Sluice to its end. */
export function runSluice(args: readonly string[], options?: CommandOptions): Promise<Finished> {
  if (!existsSync(join(dirname(sluice), '../dist'))) throw new Error('dist/ is missing: npm run build makes it')
  return run(process.execPath, [sluice, ...args], options)
}

/** `sluice run --hints`, with a configuration in a folder of its own. */
export class RunningSluice implements AsyncDisposable {
  readonly command: Command
  readonly folder: string
  readonly #remove: () => void

  private constructor(command: Command, folder: string, remove: () => void) {
    this.command = command
    this.folder = folder
    this.#remove = remove
  }

  /** Starts it and waits until it listens. */
  static async start(config: string, options: CommandOptions = {}): Promise<RunningSluice> {
    const folder = temporaryFolder()
    const file = join(folder.path, 'sluice.yaml')
    writeFileSync(file, config)
    const command = new Command(process.execPath, [sluice, 'run', '--hints', file], options)
    const running = new RunningSluice(command, folder.path, () => folder[Symbol.dispose]())
    try {
      await command.hear('Ctrl-C stops the server.')
    } catch (error) {
      await running[Symbol.asyncDispose]()
      throw error
    }
    return running
  }

  /** The port of an endpoint, as the hints say it. */
  port(endpoint: string): number {
    return Number(new RegExp(`"${endpoint}" listens on port (\\d+)`).exec(this.command.stdout)![1])
  }

  /** A path of the admin server. */
  async get(path: string): Promise<{ readonly status: number; readonly body: string }> {
    const [base] = /http:\/\/[\d.:]+/.exec(this.command.stdout)!
    // A connection that is kept open is not what a drain should wait for.
    const response = await fetch(base + path, { headers: { connection: 'close' } })
    return { status: response.status, body: await response.text() }
  }

  /** Every line of the log so far. */
  get log(): LogLine[] {
    const complete = this.command.stderr.slice(0, this.command.stderr.lastIndexOf('\n') + 1)
    return complete
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as LogLine)
  }

  /** Waits for a line of the log. */
  async logged(event: string, matches: (line: LogLine) => boolean = () => true): Promise<LogLine> {
    const find = () => this.log.find((line) => line.event === event && matches(line))
    await this.command.until(() => find() !== undefined)
    return find()!
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.command[Symbol.asyncDispose]()
    this.#remove()
  }
}

export interface LogLine {
  readonly level: string
  readonly event: string
  readonly text: string
  readonly [field: string]: unknown
}
