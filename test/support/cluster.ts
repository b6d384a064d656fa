import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { Supervisor } from '../../src/cluster/supervisor.ts'
import { readPlan } from '../../src/config/read-plan.ts'
import type { EventMap, EventName } from '../../src/contracts/events.ts'
import { InheritedSockets } from '../../src/transports/inherited.ts'
import { Peer } from './peer.ts'
import { temporaryFolder } from './server.ts'

/** A supervisor in this process, whose workers run from the sources. */
export class Cluster implements AsyncDisposable {
  readonly file: string
  readonly folder = temporaryFolder()
  #supervisor: Supervisor | undefined = undefined
  readonly events: { readonly name: EventName; readonly event: unknown }[] = []

  constructor() {
    this.file = join(this.folder.path, 'sluice.yaml')
  }

  get supervisor(): Supervisor {
    return this.#supervisor!
  }

  async start(config: string): Promise<this> {
    this.write(config)
    const { plan, text, report } = await readPlan(this.file, {})
    expect(report).toBe('')
    const workerFile = new URL('../../src/cli/worker-process.ts', import.meta.url)
    const log = { format: 'json', color: false } as const
    const inherited = new InheritedSockets([])
    const supervisor = new Supervisor({ plan: plan!, text, file: this.file, inherited, env: {}, log, workerFile })
    this.#supervisor = supervisor
    for (const name of ['worker.started', 'worker.exited', 'server.reloadFailed', 'listener.closed'] as const) {
      supervisor.events.on(name, (event) => this.events.push({ name, event }))
    }
    await supervisor.start()
    return this
  }

  write(config: string): void {
    // Their lines would stand between those of the tests.
    writeFileSync(this.file, `workers: 2\nlog: { level: error }\n${config}`)
  }

  all<Name extends EventName>(name: Name): EventMap[Name][] {
    return this.events.filter((one) => one.name === name).map(({ event }) => event as EventMap[Name])
  }

  connect(): Promise<Peer> {
    return Peer.connect(this.supervisor.address('shell')!.port)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#supervisor?.stop({ deadline: 0 })
    this.folder[Symbol.dispose]()
  }
}
