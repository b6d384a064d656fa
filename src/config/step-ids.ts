import { type ConfigPath, formatPath } from './problems.ts'
import type { Report } from './report.ts'

/** The ids that steps are given in a configuration, each once. */
export class StepIds {
  readonly #report: Report
  /** Where each was given first. */
  readonly #taken = new Map<string, ConfigPath>()

  constructor(report: Report) {
    this.#report = report
  }

  /** @param path of the step */
  take(id: string, path: ConfigPath): void {
    const origin = this.#report.originOf(path)
    const first = this.#taken.get(id) ?? origin
    this.#taken.set(id, first)
    // A shared dataflow, and one of defaults, is planned once for each use; that is the same step.
    if (formatPath(first) === formatPath(origin)) return
    const message = `the id ${id} is taken by the step at ${formatPath(first)}`
    this.#report.add({ code: 'ID_TAKEN', path: [...path, 'id'], message, hint: 'give each step an id of its own' })
  }
}
