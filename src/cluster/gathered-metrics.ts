import { addMetrics, addMetricsAsText, countersOf } from '../observe/add-metrics.ts'
import type { Metrics, MetricValues } from '../observe/metrics.ts'
import type { WorkerHandle } from './worker-handle.ts'

/**
 * What all workers have measured, together. Counts do not fall when a worker ends: what it had counted when it was last
 * asked stays.
 */
export class GatheredMetrics {
  readonly #workers: () => readonly WorkerHandle[]
  /** The counters of workers that have ended. */
  #kept: Promise<MetricValues> = Promise.resolve([])

  /** @param workers those that can be asked */
  constructor(workers: () => readonly WorkerHandle[]) {
    this.#workers = workers
  }

  /** A worker has ended. */
  keep({ measured }: WorkerHandle): void {
    if (measured.length > 0) this.#kept = this.#kept.then((kept) => addMetrics([kept, countersOf(measured)]))
  }

  with(own: Metrics): Metrics {
    const values = async () => {
      const measured = await Promise.all(this.#workers().map(ask))
      return [await own.values(), await this.#kept, ...measured]
    }
    return {
      contentType: own.contentType,
      values: async () => addMetrics(await values()),
      text: async () => addMetricsAsText(await values()),
      close: own.close,
    }
  }
}

/** One that does not answer in time has what it had before. */
async function ask(worker: WorkerHandle): Promise<MetricValues> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<MetricValues>((resolve) => {
    timer = setTimeout(() => resolve(worker.measured), LONGEST_MS)
  })
  const answer = worker.channel.ask('metrics').then(
    (values) => {
      worker.measured = values
      return values
    },
    () => worker.measured,
  )
  const values = await Promise.race([answer, late])
  clearTimeout(timer)
  return values
}

/** How long a worker may take to say what it has measured, in milliseconds. */
const LONGEST_MS = 2000
