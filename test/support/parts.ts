import { type Batch, createRegistry, defineSink, defineStep, type Registry, type Sink, z } from '../../src/index.ts'

/** The built-in parts and a sink `held` that a test works by hand. */
export function registryWith(name: string, write: Sink['write'], close: Sink['close'] = () => undefined): Registry {
  const registry = createRegistry()
  registry.add(
    defineSink({
      name,
      summary: 'Does what the test says.',
      options: z.strictObject({}),
      examples: [],
      confirms: () => 'os',
      finished: 'the test says so',
      create: () => ({ write, close }),
    }),
  )
  return registry
}

/** A sink that confirms nothing before its gate is opened, and remembers what it was given. */
export class Gate {
  readonly batches: Batch[] = []
  readonly #opened = Promise.withResolvers<void>()
  readonly #waiting = new Set<() => void>()

  readonly write = (batch: Batch): Promise<void> => {
    this.batches.push(batch)
    for (const look of this.#waiting) look()
    return this.#opened.promise
  }

  get values(): unknown[] {
    return this.batches.flatMap(({ messages }) => messages.map(({ msg }) => msg))
  }

  open(): void {
    this.#opened.resolve()
  }

  /** Waits until so many batches have been written. */
  entered(count = 1): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (this.batches.length < count) return
        this.#waiting.delete(look)
        resolve()
      }
      this.#waiting.add(look)
      look()
    })
  }
}

/** Adds a step that runs a function of the test. */
export function addStep(
  registry: Registry,
  name: string,
  step: Awaited<ReturnType<Parameters<typeof defineStep>[0]['create']>>,
): Registry {
  registry.add(
    defineStep({
      name,
      summary: 'Does what the test says.',
      options: z.strictObject({}),
      examples: [],
      create: () => step,
    }),
  )
  return registry
}

/** Looks again and again, between other work, until something holds. For what no event tells. */
export async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate)
}

/**
 * Resolves when bytes have flowed and no more do: nothing tells that a sender is held back but that it sends nothing.
 * @param flowed how many have
 */
export async function stuck(flowed: () => number): Promise<void> {
  for (let before = -1; flowed() === 0 || flowed() !== before; ) {
    before = flowed()
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
