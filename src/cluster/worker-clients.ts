import type { Client, PayloadKind } from '../contracts/client.ts'
import type {
  Clients,
  CloseCause,
  ConnectedClients,
  Question,
  RequestTarget,
  SendResult,
  SendTarget,
} from '../contracts/clients.ts'
import { whenAborted } from '../util/signals.ts'
import type { Channel } from './channel.ts'
import type { SupervisorApi } from './protocol.ts'
import { isHere, remoteQuestion } from './remote-request.ts'

/** The clients of all workers, as the parts of one worker see them: those of the others are reached through the supervisor. */
export class WorkerClients implements Clients {
  readonly #here: ConnectedClients
  readonly #channel: Channel<SupervisorApi>

  constructor(here: ConnectedClients, channel: Channel<SupervisorApi>) {
    this.#here = here
    this.#channel = channel
  }

  get size(): number {
    return this.#here.size
  }

  get(id: string): Client | undefined {
    return this.#here.get(id)
  }

  list(endpoint?: string): Client[] {
    return this.#here.list(endpoint)
  }

  send(target: SendTarget, kind: PayloadKind, content: unknown, except?: string): SendResult | Promise<SendResult> {
    const toOthers = () => this.#channel.ask('send', target, kind, content, except)
    if ('client' in target) {
      return this.#here.get(target.client) === undefined ? toOthers() : this.#here.send(target, kind, content, except)
    }
    const mine = this.#here.send(target, kind, content, except)
    return toOthers().then((others) => addResults([mine, others]))
  }

  async request(target: RequestTarget, kind: PayloadKind, content: unknown, asked: Question): Promise<unknown> {
    if (isHere(this.#here, target)) return this.#here.request(target, kind, content, asked)
    const { signal } = asked
    signal?.throwIfAborted()
    const question = remoteQuestion(kind, content, asked)
    const giveUp = () => void this.#channel.ask('giveUp', question.id).catch(() => undefined)
    const forget = signal && whenAborted(signal, giveUp)
    try {
      return (await this.#channel.ask('request', target, question)).value
    } finally {
      forget?.()
    }
  }

  close(id: string, reason?: CloseCause): boolean | Promise<boolean> {
    return this.#here.close(id, reason) || this.#channel.ask('close', id, reason)
  }
}

/** What several workers have sent together. */
export function addResults(results: readonly SendResult[]): SendResult {
  const sum = (key: keyof SendResult) => results.reduce((total, result) => total + result[key], 0)
  return { sent: sum('sent'), skipped: sum('skipped') }
}
