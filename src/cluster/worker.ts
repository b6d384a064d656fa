import { ConfigError } from '../config/config-error.ts'
import { folderOfSlot } from '../config/data-folder.ts'
import type { Plan } from '../config/plan.ts'
import { DEFAULT_DRAIN_MS, type PlannedServer } from '../config/planned-server.ts'
import type { CountersByName } from '../config/planner.ts'
import { readPlan } from '../config/read-plan.ts'
import type { RetryReport } from '../config/retry-dead-letters.ts'
import { createServerFromPlan } from '../config/server.ts'
import type { PayloadKind } from '../contracts/client.ts'
import type { CloseCause, RequestTarget, SendResult, SendTarget } from '../contracts/clients.ts'
import type { BufferCounters } from '../contracts/counters.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { EventName } from '../contracts/events.ts'
import { attachLog, type Log } from '../observe/log.ts'
import { createMetrics, type Metrics, type MetricValues } from '../observe/metrics.ts'
import { createTcp } from '../transports/tcp.ts'
import { Channel, type ChannelEnd } from './channel.ts'
import type { SupervisorApi, WorkerApi, WorkerSource, WorkerTask } from './protocol.ts'
import { type RemoteAnswer, type RemoteQuestion, RemoteQuestions } from './remote-request.ts'
import { WorkerClients } from './worker-clients.ts'
import { dataDirOf, planOfWorker } from './worker-plan.ts'
import { WorkerTransport } from './worker-transport.ts'

/**
 * Works for a supervisor until that says stop, or is gone: then what has arrived is finished, as at any stop.
 * @param end of the channel to the supervisor: `process`
 * @param env where `${env.NAME}` looks
 * @returns resolves when everything is closed
 */
export async function runWorker(end: ChannelEnd, env: NodeJS.ProcessEnv): Promise<void> {
  const worker = new Worker(end, env)
  await new Promise<void>((resolve) => end.on('disconnect', resolve))
  await worker.stop(DEFAULT_DRAIN_MS)
}

/** Told by the supervisor, once for all. */
const NOT_OURS: readonly EventName[] = [
  'server.started',
  'server.reloaded',
  'server.reloadFailed',
  'server.draining',
  'server.stopped',
]

/** Told by whoever binds the address. */
const OF_LISTENERS: readonly EventName[] = ['listener.opened', 'listener.closed']

class Worker implements WorkerApi {
  readonly #env: NodeJS.ProcessEnv
  readonly #channel: Channel<SupervisorApi>
  readonly #questions: RemoteQuestions
  #transport: WorkerTransport | undefined = undefined
  #server: PlannedServer<WorkerSource> | undefined = undefined
  #log: Log | undefined = undefined
  #metrics: Metrics | undefined = undefined
  /** Settles when there is a server, or will be none. */
  #planning: Promise<unknown> = Promise.resolve()

  constructor(end: ChannelEnd, env: NodeJS.ProcessEnv) {
    this.#env = env
    this.#questions = new RemoteQuestions(env)
    this.#channel = new Channel<SupervisorApi>(end, callable(this), (message, handle) => {
      if (message.kind === 'socket') void this.#transport?.take(message, handle)
    })
  }

  async begin(task: WorkerTask): Promise<void> {
    const creating = this.#create(task)
    this.#planning = creating.catch(() => undefined)
    const server = await creating
    try {
      await server.start()
    } catch (thrown) {
      await this.#close()
      throw thrown
    }
  }

  async reload(source: WorkerSource): Promise<void> {
    await this.#running().reload(source)
  }

  async send(target: SendTarget, kind: PayloadKind, content: unknown, except?: string): Promise<SendResult> {
    return this.#running().clients.send(target, kind, content, except)
  }

  async close(id: string, reason?: CloseCause): Promise<boolean> {
    return this.#running().clients.close(id, reason)
  }

  request(target: RequestTarget, question: RemoteQuestion): Promise<RemoteAnswer | undefined> {
    return this.#questions.ask(this.#running().clients, target, question)
  }

  async giveUp(id: string): Promise<void> {
    this.#questions.giveUp(id)
  }

  async metrics(): Promise<MetricValues> {
    return (await this.#metrics?.values()) ?? []
  }

  async buffers(): Promise<readonly BufferCounters[]> {
    return this.#running().buffers
  }

  retryDeadLetters(ids: readonly number[]): Promise<RetryReport> {
    return this.#running().retryDeadLetters(ids)
  }

  async stop(deadline: number): Promise<void> {
    await this.#planning
    await this.#server?.stop({ deadline })
    await this.#close()
  }

  async #create(task: WorkerTask): Promise<PlannedServer<WorkerSource>> {
    const plan = await this.#plan(task, task)
    const own = createTcp()
    this.#transport = new WorkerTransport(this.#channel, own, plan.balance === 'reusePort')
    const server = createServerFromPlan<WorkerSource>(
      plan,
      {
        transport: this.#transport,
        ownFolder: folderOfSlot(dataDirOf(plan), task.slot),
        clients: (here) => new WorkerClients(here, this.#channel),
        clientPrefix: task.clientPrefix,
      },
      (source, counters) => this.#plan(task, source, counters),
    )
    this.#server = server
    this.#log = attachLog(server.events, {
      ...task.log,
      level: plan.log.level,
      worker: task.slot,
      except: plan.balance === 'reusePort' ? NOT_OURS : [...NOT_OURS, ...OF_LISTENERS],
      dialled: (endpoint) => server.endpoints.some(({ name, kind }) => name === endpoint && kind === 'connect'),
    })
    if (plan.admin !== undefined) this.#metrics = createMetrics(server, server.events)
    return server
  }

  /** @throws ConfigError when the file is a module that has changed since the supervisor has looked at it */
  async #plan(task: WorkerTask, { text, connects }: WorkerSource, counters?: CountersByName): Promise<Plan> {
    const options = { text, ...(counters && { counters }) }
    const { plan, problems } = await readPlan(task.file, this.#env, options)
    if (plan === undefined) throw new ConfigError(problems)
    return planOfWorker({ ...plan, ...task.settings }, { ...task, connects })
  }

  async #close(): Promise<void> {
    this.#metrics?.close()
    await this.#log?.close()
  }

  #running(): PlannedServer<WorkerSource> {
    if (this.#server === undefined) throw new SluiceError('internal', 'the worker has not begun')
    return this.#server
  }
}

/** What the supervisor may call, and nothing else. */
function callable(worker: WorkerApi): WorkerApi {
  return {
    begin: (task) => worker.begin(task),
    reload: (source) => worker.reload(source),
    send: (...args) => worker.send(...args),
    close: (...args) => worker.close(...args),
    request: (...args) => worker.request(...args),
    giveUp: (id) => worker.giveUp(id),
    metrics: () => worker.metrics(),
    buffers: () => worker.buffers(),
    retryDeadLetters: (ids) => worker.retryDeadLetters(ids),
    stop: (deadline) => worker.stop(deadline),
  }
}
