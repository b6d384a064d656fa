import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Config,
  createServer,
  type EventMap,
  type EventName,
  type Server,
  type ServerOptions,
} from '../../src/index.ts'

export interface TemporaryFolder extends Disposable {
  readonly path: string
}

/** A folder of its own for a test; removed at the end of the block. */
export function temporaryFolder(): TemporaryFolder {
  const path = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

/** A running server that a test can watch. */
export interface Running extends AsyncDisposable {
  readonly server: Server
  /** The folder in which relative paths of the configuration lie. */
  readonly folder: string
  readonly events: { readonly name: EventName; readonly event: unknown }[]
  port(endpoint?: string): number
  /** Waits for an event, also one that has happened already. */
  event<Name extends EventName>(name: Name, matches?: (event: EventMap[Name]) => boolean): Promise<EventMap[Name]>
  all<Name extends EventName>(name: Name): EventMap[Name][]
}

const NAMES: readonly EventName[] = [
  'buffer.blocked',
  'buffer.damaged',
  'buffer.suspected',
  'buffer.emptied',
  'buffer.filled',
  'buffer.orphaned',
  'connection.closed',
  'connection.opened',
  'connection.refused',
  'deadLetter.lost',
  'deadLetter.stored',
  'deadLetters.emptied',
  'deadLetters.expired',
  'deadLetters.filled',
  'dial.failed',
  'frame.rejected',
  'listener.closed',
  'listener.opened',
  'message.failed',
  'part.logged',
  'poll.timedOut',
  'reply.lost',
  'schedule.skipped',
  'server.draining',
  'server.reloadFailed',
  'server.reloaded',
  'server.stopped',
  'sink.deliveredLate',
  'sink.retried',
  'subscription.failed',
  'subscription.opened',
  'upstream.failed',
  'upstream.recovered',
]

/** Starts a server in a folder of its own. */
export async function start(config: Config, options: ServerOptions = {}): Promise<Running> {
  const folder = temporaryFolder()
  try {
    return await startIn(folder, config, options)
  } catch (thrown) {
    folder[Symbol.dispose]()
    throw thrown
  }
}

async function startIn(folder: TemporaryFolder, config: Config, options: ServerOptions): Promise<Running> {
  const server = createServer(config, { baseDir: folder.path, ...options })
  const events: { name: EventName; event: unknown }[] = []
  const waiting = new Set<() => void>()
  for (const name of NAMES) {
    server.events.on(name, (event) => {
      events.push({ name, event })
      for (const look of waiting) look()
    })
  }
  await server.start()
  const all = <Name extends EventName>(name: Name) =>
    events.filter((one) => one.name === name).map(({ event }) => event as EventMap[Name])
  return {
    server,
    folder: folder.path,
    events,
    port: (endpoint = Object.keys(config.listen ?? {})[0]!) => server.address(endpoint)!.port,
    all,
    event: (name, matches = () => true) =>
      new Promise((resolve) => {
        const look = () => {
          const found = all(name).find(matches)
          if (found === undefined) return
          waiting.delete(look)
          resolve(found)
        }
        waiting.add(look)
        look()
      }),
    async [Symbol.asyncDispose]() {
      await server.stop({ deadline: 2000 })
      folder[Symbol.dispose]()
    },
  }
}
