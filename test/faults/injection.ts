import { spawn } from 'node:child_process'
import { Command } from '../support/command.ts'
import { within } from './within.ts'

/** What a system call answers instead of doing its work. */
export interface Injection {
  /** Names of the calls, such as `fdatasync` and `pwrite64`. */
  readonly calls: readonly string[]
  readonly error: 'EIO' | 'ENOSPC'
}

/** A process whose system calls fail, until `stop`. */
export interface Injected {
  /** Calls that have failed so far. */
  readonly count: number
  /** Waits until so many calls have failed. */
  happened(count: number): Promise<void>
  /** The calls work again when this resolves. */
  stop(): Promise<void>
}

/** What attaching and detaching may take at most, in milliseconds. */
const MAX_WAIT = 20_000

/** Makes system calls of a running process fail, in all its threads: `strace` answers in the place of the kernel. */
export async function inject(pid: number, { calls, error }: Injection): Promise<Injected> {
  const names = calls.join(',')
  const args = ['-f', '-p', String(pid), '-e', `trace=${names}`, '-e', `inject=${names}:error=${error}`]
  const strace = new Command('strace', args)
  const count = () => strace.stderr.split('(INJECTED)').length - 1
  try {
    await within(
      MAX_WAIT,
      'strace attaches',
      strace.until(({ stderr }) => stderr.includes(' attached')),
    )
  } catch (thrown) {
    await strace[Symbol.asyncDispose]()
    throw thrown
  }
  return {
    get count() {
      return count()
    },
    async happened(wanted) {
      await strace.until(() => count() >= wanted)
    },
    async stop() {
      strace.signal('SIGINT')
      await within(MAX_WAIT, 'strace detaches', strace.finished)
    },
  }
}

/** Tries it out. @returns why system calls cannot be made to fail here; undefined when they can */
export async function injectionObstacle(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'it needs Linux'
  const victim = spawn('sleep', ['60'], { stdio: 'ignore' })
  try {
    const injected = await inject(victim.pid!, { calls: ['fdatasync'], error: 'EIO' })
    await injected.stop()
    return undefined
  } catch (error) {
    const [first = ''] = (error as Error).message.split('\n').filter((line) => line.startsWith('strace:'))
    return first === '' ? 'strace is not installed' : `strace may not attach here (${first})`
  } finally {
    victim.kill('SIGKILL')
  }
}
