import type { Finished } from '../support/command.ts'
import type { LedgerClient } from './ledger-client.ts'
import type { ServerProcess } from './server-process.ts'
import { within } from './within.ts'

/** What a server makes of data that it cannot use as it is. All three are in order; anything else is thrown. */
export type Verdict =
  /** It acknowledges messages. */
  | { readonly kind: 'serves' }
  /** It listens, acknowledges nothing, and its log says why. */
  | { readonly kind: 'complains'; readonly sentence: string }
  /** It has ended with an exit code of its own and a sentence. */
  | { readonly kind: 'refuses'; readonly sentence: string }

/** How long it may take until a message has its answer or its complaint, in milliseconds. */
const MAX_WAIT = 30_000

/**
 * Starts a server and finds out what it does, with one message or more. A server that serves or complains still runs.
 * @param connect opens the connections of the client, when the server listens
 * @throws Error when it hangs, ends by a signal, shows a stack trace, or says nothing
 */
export async function judgeStart(server: ServerProcess, connect: () => Promise<LedgerClient>): Promise<Verdict> {
  server.spawn()
  const settled = await server.settled()
  if (settled !== 'listening') return { kind: 'refuses', sentence: sentenceOf(settled) }
  const client = await connect()
  const before = client.answers
  const complained = server.complaint().then((sentence): Verdict => ({ kind: 'complains', sentence }))
  const answered = client
    .until(() => client.answers > before || client.connections === 0)
    .then((): Verdict | Promise<Verdict> => (client.answers > before ? { kind: 'serves' } : complained))
  return within(MAX_WAIT, 'a message is acknowledged, or the log says why not', Promise.race([answered, complained]))
}

/** What a command that refused its work says to the user. */
function sentenceOf({ code, stderr }: Finished): string {
  const said = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('{'))
  const all = said.join('\n')
  if (code !== 1) throw new Error(`it has ended with ${code}: ${all}`)
  if (/^ {2,}at /m.test(all)) throw new Error(`it has ended with a stack trace: ${all}`)
  if (!/^.{20,}\.$/m.test(all)) throw new Error(`it has ended without a sentence that says why: ${JSON.stringify(all)}`)
  return all
}
