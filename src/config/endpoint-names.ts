import { suggest } from '../util/suggest.ts'
import type { ConfigPath } from './problems.ts'
import type { Report } from './report.ts'
import { isMapping } from './shape.ts'

/** Where endpoints stand. */
const SECTIONS = ['listen', 'connect', 'subscribe', 'schedule'] as const

/** Of these, where they have clients. */
const WITH_CLIENTS = ['listen', 'connect'] as const

/** The names of all endpoints as they are written, those of endpoints with mistakes included. */
export class EndpointNames {
  readonly #value: Readonly<Record<string, unknown>>
  readonly #report: Report

  /** @param value the configuration */
  constructor(value: Readonly<Record<string, unknown>>, report: Report) {
    this.#value = value
    this.#report = report
  }

  /** At least one endpoint, and no name twice: `client.endpoint` and `send` know an endpoint by its name alone. */
  check(): void {
    const taken = new Map<string, string>()
    for (const section of SECTIONS) {
      for (const name of this.#in(section)) {
        const before = taken.get(name)
        if (before === undefined) {
          taken.set(name, section)
          continue
        }
        const message = `there is an endpoint ${name} under ${before} already`
        const hint = 'give each endpoint a name of its own'
        this.#report.add({ code: 'NAME_TAKEN', path: [section, name], at: 'key', message, hint })
      }
    }
    if (taken.size > 0 || SECTIONS.some((section) => this.#report.isWrong([section]))) return
    const message = 'there is no endpoint, so there is nothing to do'
    const hint = 'write listen: { NAME: { port: 9100, dataflow: [ … ] } }, or connect: to reach a device'
    this.#report.add({ code: 'NO_ENDPOINT', path: [], message, hint })
  }

  /** Reports the name of an endpoint that has no clients, or is not there. @param path where it is named */
  checkUse(name: string, path: ConfigPath): void {
    const known = WITH_CLIENTS.flatMap((section) => this.#in(section))
    // Where a whole section is wrong, or misspelt, the name may stand in it.
    if (known.includes(name) || WITH_CLIENTS.some((section) => this.#report.isWrong([section]))) return
    const section = SECTIONS.find((one) => this.#in(one).includes(name))
    const message =
      section === undefined ? `there is no endpoint ${name}` : `${name} stands under ${section}, and has no clients`
    const near = section === undefined ? suggest(name, known) : undefined
    const others = known.length === 0 ? 'clients are those of listen and connect' : `there are ${known.join(', ')}`
    const hint = near === undefined ? others : `did you mean ${near}?`
    this.#report.add({ code: 'ENDPOINT_UNKNOWN', path, message, hint })
  }

  #in(section: (typeof SECTIONS)[number]): readonly string[] {
    const entries = this.#value[section]
    return isMapping(entries) ? Object.keys(entries) : []
  }
}
