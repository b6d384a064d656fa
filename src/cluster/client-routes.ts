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
  /** The worker that a client of this id is connected to, if that is another one. */
  const workerOf = (id: string) => {
    const slot = Number(/-(\d+)(?:r\d+)?\.\d+$/.exec(id)?.[1])
    return others().find((worker) => worker.slot === slot)
  }
  return {
    send: (target, kind, content, except) => {
      if (!('client' in target)) return sendToAll(others(), target, kind, content, except)
      const worker = workerOf(target.client)
      if (worker === undefined) return Promise.reject(nobody(target))
      return worker.channel.ask('send', target, kind, content, except)
    },
    close: async (id, reason) => (await workerOf(id)?.channel.ask('close', id, reason)) ?? false,
    request: (target, question) => {
      // Only one of them dials an endpoint of `connect:`, and a device of `hosts:` has an id of its own.
      const worker = 'client' in target ? workerOf(target.client) : undefined
      return request(worker === undefined ? others() : [worker], target, question)
    },
    giveUp: async (id) => {
      await Promise.all(others().map((worker) => worker.channel.ask('giveUp', id).catch(() => undefined)))
    },
  }
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
