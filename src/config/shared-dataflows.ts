import { suggest } from '../util/suggest.ts'
import type { ConfigPath } from './problems.ts'
import type { Report } from './report.ts'

/** Steps as they are written. */
type WrittenSteps = readonly unknown[]

/** The entries of `dataflows:`, which endpoints and steps use by name. */
export class SharedDataflows {
  readonly #entries: Readonly<Record<string, WrittenSteps>>
  readonly #report: Report
  readonly #used = new Set<string>()

  constructor(entries: Readonly<Record<string, WrittenSteps>>, report: Report) {
    this.#entries = entries
    this.#report = report
  }

  /**
   * Those that were not used so far, each of which is reported as such.
   * @param visit is given each first, to look for mistakes in it
   */
  reportUnused(visit: (name: string, steps: WrittenSteps) => void): void {
    for (const [name, steps] of Object.entries(this.#entries)) {
      if (this.#used.has(name)) continue
      visit(name, steps)
      const message = `nothing uses the dataflow ${name}`
      const path = ['dataflows', name]
      this.#report.add({ code: 'DATAFLOW_UNUSED', severity: 'warning', path, at: 'key', message })
    }
  }

  /**
   * @param path where the name stands
   * @param within names of the entries that it stands in
   * @returns undefined when there is no such entry, or it would contain itself; that has been reported
   */
  use(name: string, path: ConfigPath, within: readonly string[]): WrittenSteps | undefined {
    const steps = Object.hasOwn(this.#entries, name) ? this.#entries[name] : undefined
    if (steps === undefined) {
      const near = suggest(name, Object.keys(this.#entries))
      const hint = near === undefined ? `write it: dataflows: { ${name}: [ … ] }` : `did you mean ${near}?`
      this.#report.add({ code: 'DATAFLOW_UNKNOWN', path, message: `there is no ${name} under dataflows`, hint })
      return undefined
    }
    this.#used.add(name)
    if (!within.includes(name)) return steps
    const message = `the dataflow ${name} contains itself: ${[...within, name].join(' → ')}`
    const hint = 'a message would never come out; take one of these uses away'
    this.#report.add({ code: 'DATAFLOW_RECURSIVE', path, message, hint })
    return undefined
  }
}
