import { join, resolve } from 'node:path'
import type { PartContext } from '../contracts/context.ts'
import { countDeadLetters } from '../delivery/burial.ts'
import { createClientTls } from '../transports/tls.ts'
import type { Scope } from './build-scope.ts'

/**
 * What a step, a sink or a subscription is created with.
 * @param id of the step, or what stands for it in what the part logs
 */
export function createPartContext(id: string, { building, plan, codec }: Scope): PartContext {
  const { clock, clients, storage, data, deadLetters, tcp, signal, lineFraming, importPackage, share, events } =
    building.world
  return {
    id,
    endpoint: plan.name,
    clock,
    clients,
    codec,
    lineFraming,
    storage,
    deadLetters: countDeadLetters(deadLetters, plan.counters, events),
    tcp,
    createTls: createClientTls,
    signal,
    importPackage,
    resolvePath: (path) => resolve(building.baseDir, path),
    dataPath(name) {
      data.lock()
      return join(data.path, name)
    },
    share,
    log: (level, text, message) => events.emit('part.logged', { level, step: id, text, client: message?.client }),
  }
}
