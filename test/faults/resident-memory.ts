import { readFileSync } from 'node:fs'

/** Time between two looks, in milliseconds. */
const EVERY = 200

/** Memory goes up and down as garbage is made and collected; so a figure is the median of so many milliseconds. */
const SPAN = 5000

/** Watches the resident memory of a process, as the system counts it (`VmRSS` of proc_pid_status(5)). */
export class ResidentMemory implements Disposable {
  readonly #samples: number[] = []
  readonly #timer: NodeJS.Timeout

  constructor(pid: number) {
    const look = () => {
      const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
      if (kilobytes !== undefined) this.#samples.push(Number(kilobytes) * 1024)
    }
    this.#timer = setInterval(look, EVERY)
  }

  /** Looks so far; to be given to {@link ResidentMemory.highest}. */
  get count(): number {
    return this.#samples.length
  }

  /** Bytes: the median of the last span. */
  get latest(): number {
    return median(this.#samples.slice(-SAMPLES))
  }

  /** Bytes: the highest median of any span since then, or of all since then where that is shorter. */
  highest(since: number): number {
    const samples = this.#samples.slice(since)
    const spans = Array.from({ length: Math.max(1, samples.length - SAMPLES + 1) }, (_, i) =>
      median(samples.slice(i, i + SAMPLES)),
    )
    return Math.max(...spans)
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}

const SAMPLES = SPAN / EVERY

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
}
