import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The program as it is installed: it runs what stands in `dist/`. */
export const sluice = fileURLToPath(new URL('../../bin/sluice.js', import.meta.url))

export interface CommandOptions {
  readonly cwd?: string
  /** Beside the environment of the test, without what the test runner puts there. */
  readonly env?: Readonly<Record<string, string>>
}

/** What a program has done. */
export interface Finished {
  readonly stdout: string
  readonly stderr: string
  /** Its exit code; 'SIGTERM' and the like when a signal ended it. */
  readonly code: number | string | null
}

/** A program that a test has started: what it writes can be waited for, and it is ended with the test. */
export class Command implements AsyncDisposable {
  stdout = ''
  stderr = ''
  /** Resolves when it has ended and everything it wrote has been read. */
  readonly finished: Promise<Finished>
  readonly #child: ChildProcess
  readonly #waiting = new Set<() => void>()
  #hasEnded = false

  constructor(program: string, args: readonly string[], { cwd, env }: CommandOptions = {}) {
    this.#child = spawn(program, args, { cwd, env: { ...cleanEnvironment(), ...env } })
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
      this.#look()
    })
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
      this.#look()
    })
    // A program may end before it has read everything.
    this.#child.stdin!.on('error', () => undefined)
    this.finished = new Promise((resolve, reject) => {
      this.#child.on('error', reject)
      this.#child.on('close', (code, signal) => {
        this.#hasEnded = true
        resolve({ stdout: this.stdout, stderr: this.stderr, code: code ?? signal })
        this.#look()
      })
    })
    this.finished.catch(() => undefined)
  }

  /** Its process id; undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Writes to its standard input. */
  send(text: string | Buffer): this {
    this.#child.stdin!.write(text)
    return this
  }

  /** Ends its standard input. */
  finish(): this {
    this.#child.stdin!.end()
    return this
  }

  signal(signal: NodeJS.Signals): this {
    this.#child.kill(signal)
    return this
  }

  /** Stops it as it is, until SIGCONT. Resolves when all its threads have stopped: the signal takes its time. */
  suspend(): Promise<void> {
    return suspend(this.#child.pid!)
  }

  /** Waits until a condition holds that depends on what it has written. */
  async until(condition: (command: Command) => boolean): Promise<this> {
    while (!condition(this)) {
      if (this.#hasEnded) throw new Error(`it has ended; it wrote:\n${this.stdout}\n${this.stderr}`)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
    return this
  }

  /** Waits for a text on standard output; gives all that it has written there. */
  async hear(text: string | RegExp): Promise<string> {
    await this.until(({ stdout }) => (typeof text === 'string' ? stdout.includes(text) : text.test(stdout)))
    return this.stdout
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) this.#child.kill('SIGKILL')
    await this.finished.catch(() => undefined)
  }

  #look(): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }
}

/** Runs a program to its end, with nothing on its standard input. */
export async function run(
  program: string,
  args: readonly string[],
  { input = '', ...options }: CommandOptions & { readonly input?: string | Buffer } = {},
): Promise<Finished> {
  await using command = new Command(program, args, options)
  if (input.length > 0) command.send(input)
  return await command.finish().finished
}

/** The Node of the machine, when it is one that Sluice does not run on. */
export async function findOldNode(): Promise<string | undefined> {
  for (const node of ['/usr/bin/node', '/usr/local/bin/node']) {
    if (!existsSync(node)) continue
    const { stdout } = await run(node, ['--version'])
    if (Number(/^v(\d+)/.exec(stdout)?.[1]) < 24) return node
  }
  return undefined
}

/** The test runner asks for colours and puts names of its own there; a user's shell does not. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const unwanted = /^(FORCE_COLOR|NO_COLOR|CI|NODE_ENV|NODE_OPTIONS|DEV|PROD|MODE|SSR|BASE_URL|TEST|VITEST.*|npm_.*)$/i
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !unwanted.test(name)))
}

/** Stops a process as it is. Resolves when all its threads have stopped. */
export async function suspend(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  const tasks = `/proc/${pid}/task`
  const runs = (task: string) => {
    try {
      return !/^State:\s+T/m.test(readFileSync(`${tasks}/${task}/status`, 'utf8'))
    } catch {
      // A thread that has ended meanwhile.
      return false
    }
  }
  while (readdirSync(tasks).some(runs)) await new Promise(setImmediate)
}
