import { type Batch, type Sink, SluiceError } from '../../src/index.ts'
import type { TestContext } from '../../src/testing/part-context.ts'
import type { Command } from './command.ts'

/** A sink that writes to a real server, and what it said in its context. */
export type OpenedSink = AsyncDisposable & { readonly sink: Sink; readonly context: TestContext }

export function openedSink(sink: Sink, context: TestContext): OpenedSink {
  return { sink, context, [Symbol.asyncDispose]: async () => sink.close() }
}

/** The texts of the outcomes, or of the error of the whole write. */
export async function writeAndTell(sink: Sink, batch: Batch): Promise<unknown> {
  try {
    const outcomes = await sink.write(batch)
    return outcomes?.map((error) => error?.message) ?? 'all delivered'
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw thrown
    return `${thrown.code}${thrown.retryable ? ', retryable' : ''}: ${thrown.message}`
  }
}

/** What opening a sink throws; it is an error of the test when it can be opened. */
export async function problemOf(opening: Promise<OpenedSink>): Promise<SluiceError> {
  try {
    await using opened = await opening
    throw new Error(`it was created: ${JSON.stringify(opened.context.logs)}`)
  } catch (thrown) {
    if (thrown instanceof SluiceError) return thrown
    throw thrown
  }
}

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
