import type { PayloadKind } from '../contracts/client.ts'
import { nobody, type RequestTarget, type SendResult, type SendTarget } from '../contracts/clients.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { SupervisorApi } from './protocol.ts'
import type { RemoteAnswer, RemoteQuestion } from './remote-request.ts'
import { addResults } from './worker-clients.ts'
import type { WorkerHandle } from './worker-handle.ts'

type Routes = Pick<SupervisorApi, 'send' | 'close' | 'request' | 'giveUp'>

/**
 * The ways from one worker to the clients of the others.
 * @param from the worker that may go them
 * @param ready those that take connections now
 */
export function routesToClients(from: WorkerHandle, ready: () => readonly WorkerHandle[]): Routes {
  const others = () => ready().filter((worker) => worker !== from)
  /** First the one that the id of a client names, if it does: that of a device of `hosts:` may look as if it did. */
  const workersOf = (id: string) => {
    const slot = Number(/-(\d+)(?:r\d+)?\.\d+$/.exec(id)?.[1])
    return others().toSorted((a, b) => Number(b.slot === slot) - Number(a.slot === slot))
  }
  return {
    send: (target, kind, content, except) =>
      'client' in target
        ? sendToOne(workersOf(target.client), target, kind, content)
        : sendToAll(others(), target, kind, content, except),
    close: async (id, reason) => {
      const closed = await Promise.all(workersOf(id).map((worker) => worker.channel.ask('close', id, reason)))
      return closed.includes(true)
    },
    request: (target, question) => request('client' in target ? workersOf(target.client) : others(), target, question),
    giveUp: async (id) => {
      await Promise.all(others().map((worker) => worker.channel.ask('giveUp', id).catch(() => undefined)))
    },
  }
}

/** Tries one after the other, until one has the client. */
async function sendToOne(
  workers: readonly WorkerHandle[],
  target: SendTarget & { readonly client: string },
  kind: PayloadKind,
  content: unknown,
): Promise<SendResult> {
  for (const worker of workers) {
    try {
      return await worker.channel.ask('send', target, kind, content, undefined)
    } catch (thrown) {
      if (!(thrown instanceof SluiceError) || thrown.code !== 'client_unknown') throw thrown
    }
  }
  throw nobody(target)
}

async function sendToAll(
  workers: readonly WorkerHandle[],
  target: SendTarget,
  kind: PayloadKind,
  content: unknown,
  except: string | undefined,
): Promise<SendResult> {
  const sends = workers.map((worker) => worker.channel.ask('send', target, kind, content, except).catch(unlessEnded))
  return addResults(await Promise.all(sends))
}

/** Asks one after the other, until one has whom the question is for. */
async function request(
  workers: readonly WorkerHandle[],
  target: RequestTarget,
  question: RemoteQuestion,
): Promise<RemoteAnswer> {
  for (const worker of workers) {
    try {
      const answer = await worker.channel.ask('request', target, question)
      if (answer !== undefined) return answer
    } catch (thrown) {
      const hasEnded = thrown instanceof SluiceError && thrown.code === 'internal' && thrown.retryable
      if (!hasEnded) throw thrown
      throw new SluiceError('wait_failed', 'the worker that the client was connected to has ended', { retryable: true })
    }
  }
  throw nobody(target)
}

/** Clients of a worker that ends meanwhile are not connected any more. */
function unlessEnded(error: SluiceError): SendResult {
  if (error.code !== 'internal') throw error
  return { sent: 0, skipped: 0 }
}
