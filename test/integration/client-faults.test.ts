import fc from 'fast-check'
import { expect, test } from 'vitest'
import { connect, createPool, type SluiceError } from '../../src/index.ts'
import { startFaultProxy } from '../faults/fault-proxy.ts'
import { startPlainServer } from '../support/plain-server.ts'

const retry = { backoff: { first: 3, max: 10 } }

type Asking = { request(value: string, options?: { readonly idempotent?: boolean }): Promise<string> } & AsyncDisposable

const kinds: Record<string, (port: number) => Promise<Asking>> = {
  'a connection that reconnects': (port) => connect({ host: '127.0.0.1', port, reconnect: true, retry }),
  'a pool': async (port) => createPool({ host: '127.0.0.1', port, max: 3, retry }),
}

test.each(Object.keys(kinds))(
  '%s: each request gets its own answer or an error that is true, wherever the network breaks',
  async (kind) => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 1, max: 120 }), { maxLength: 4 }),
        fc.integer({ min: 1, max: 30 }),
        async (breaks, slice) => {
          const left = new Set(breaks)
          let breakNow = () => {}
          await using server = await startPlainServer((line) => {
            // So many lines have arrived when the network breaks; the answer to the last is on its way, or not.
            if (left.delete(server.lines.length)) breakNow()
            return line
          })
          await using proxy = await startFaultProxy({ to: server.at })
          await proxy.set({ slice })
          breakNow = () => proxy.resetAll()
          await using client = await kinds[kind]!(proxy.port)
          const ask = async (name: string, idempotent: boolean) => {
            const outcome = await client.request(name, { idempotent }).catch((thrown: SluiceError) => thrown.code)
            expect(idempotent ? [name] : [name, 'connection_lost']).toContain(outcome)
          }
          // Ten at a time, every second of which may be asked twice.
          for (let round = 0; round < 12; round++) {
            const names = Array.from({ length: 10 }, (_, i) => `${round}.${i}`)
            await Promise.all(names.map((name, i) => ask(name, i % 2 === 0)))
          }
          const once = server.lines.filter((line) => Number(line.split('.')[1]) % 2 === 1)
          expect(new Set(once).size).toBe(once.length)
        },
      ),
      { numRuns: 6 },
    )
  },
)
