import { SluiceError } from '../contracts/errors.ts'
import type { Outcomes } from '../contracts/sink.ts'
import { unavailable } from './network-error.ts'

/** A command: its name and its arguments. */
export type Command = readonly (string | Buffer)[]

/** A reply, or the error that the server replied with. */
export type Reply = unknown

/** A connection, as far as a transaction needs it. */
export interface Sender {
  /**
   * Sends commands at once, and waits for the replies. Nothing of others comes in between.
   * @returns a reply for each, or the error that the server replied with
   * @throws SluiceError `sink_unavailable`, retryable, when the connection was lost: any of them may have been executed
   */
  send(commands: readonly Command[]): Promise<readonly Reply[]>
  /** The text of an error that the server replied with; undefined for any other reply. */
  errorText(reply: Reply): string | undefined
}

/**
 * Executes commands in one transaction. Those that Redis does not even let into it fail, and the others are tried again
 * without them.
 * @throws SluiceError retryable, when nothing was done because Redis cannot do it now
 */
export async function execute(link: Sender, commands: readonly Command[]): Promise<Outcomes> {
  if (commands.length === 1) return (await link.send(commands)).map((reply) => outcomeOf(link.errorText(reply)))
  const outcomes = new Array<SluiceError | undefined>(commands.length).fill(undefined)
  let open = [...commands.keys()]
  while (open.length > 0) {
    const [begun, ...replies] = await link.send([MULTI, ...open.map((i) => commands[i]!), EXEC])
    const done = replies.pop()
    // Where MULTI is refused, each command was executed by itself.
    const own = link.errorText(begun) === undefined ? done : replies
    if (Array.isArray(own)) {
      for (const [i, position] of open.entries()) outcomes[position] = outcomeOf(link.errorText(own[i]))
      break
    }
    const refusals = replies.map((reply) => outcomeOf(link.errorText(reply)))
    const passing = refusals.find((error) => error?.retryable)
    if (passing !== undefined) throw passing
    for (const [i, position] of open.entries()) outcomes[position] = refusals[i]
    const left = open.filter((position) => outcomes[position] === undefined)
    if (left.length === open.length) throw outcomeOf(link.errorText(done)?.replace(ABORTED, '')) ?? unavailable(UNDONE)
    open = left
  }
  return outcomes
}

const MULTI: Command = ['MULTI']
const EXEC: Command = ['EXEC']
const ABORTED = /^EXECABORT .*because of: /
const UNDONE = 'Redis did not execute the transaction'

/** @param text that of an error reply */
function outcomeOf(text: string | undefined): SluiceError | undefined {
  if (text === undefined) return undefined
  if (isPassing(text)) return unavailable(`Redis cannot take the message now: ${text}`)
  const hint = /^(?:MOVED|ASK|CROSSSLOT)\b/.test(text) ? { hint: 'Sluice does not know the slots of a cluster' } : {}
  return new SluiceError('sink_failed', `Redis refused the message: ${text}`, hint)
}

/** Errors of a server that may be able to do it later: it is loading, full, failing over, or busy with a script. */
export function isPassing(text: string): boolean {
  return /^(?:LOADING|BUSY|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|READONLY|OOM|MISCONF|NOREPLICAS|UNBLOCKED|ERR max number of clients)\b/.test(
    text,
  )
}
