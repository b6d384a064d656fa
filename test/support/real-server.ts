import type { Command } from './command.ts'

/** A real server that runs as a command of the test, which can make it hang and kill it. */
export abstract class RealServer {
  /** The one that was last started. */
  protected command: Command | undefined

  /** Makes it hang: it keeps its connections and does nothing. Resolves when none of its threads runs any more. */
  stop(): Promise<void> {
    return this.command!.suspend()
  }

  /** Lets it go on after `stop`. */
  goOn(): void {
    this.command!.signal('SIGCONT')
  }

  /** Ends it without a warning. Resolves when it is gone. */
  async kill(): Promise<void> {
    this.command!.signal('SIGKILL')
    await this.command!.finished
  }
}
