import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { hostProblem, splitAddress } from '../util/host.ts'
import type { Environment } from './environment.ts'
import { type ConfigPath, maskSecrets, type Position } from './problems.ts'
import type { Report } from './report.ts'
import type { ConnectOutput } from './schema-endpoints.ts'
import { decodeUtf8 } from './source.ts'
import { type Cell, splitTable } from './table-text.ts'

/** One device of `hosts:`. */
export interface Host {
  readonly id: string
  readonly host: string
  readonly port: number
  /** What else its line says, by column. */
  readonly tags: Readonly<Record<string, string>>
}

/** Where something of a device is written: in the configuration, or in a file that it names. */
interface Place {
  readonly path: ConfigPath
  /** Undefined where the path says it. */
  readonly position?: Position
  readonly at?: 'key'
}

/**
 * Reads the devices of `hosts:`: a CSV file, or a mapping. Every mistake is reported where it is written.
 * @param path that of the entry of `connect:`
 */
export function readHosts(
  entry: ConnectOutput,
  path: ConfigPath,
  ids: DeviceIds,
  environment: Environment,
  report: Report,
): Host[] {
  const at = [...path, 'hosts']
  const { hosts, port } = entry
  const reader = new HostReader(String(path[1]), port, ids, report)
  const errors = report.errors
  if (typeof hosts === 'string') readFile(hosts, at, environment, reader, report)
  else if (hosts !== undefined) readMapping(hosts, at, reader)
  if (reader.hosts.length === 0 && report.errors === errors) {
    const message = `${path.join('.')} has no device`
    report.add({ code: 'HOSTS_INVALID', severity: 'warning', path: at, at: 'key', message })
  }
  return reader.hosts
}

/** Who has which id: `send` and `clients` know a client by its id alone, so it is never given twice. */
export class DeviceIds {
  readonly #endpoints: ReadonlySet<string>
  readonly #taken = new Map<string, string>()

  /** @param endpoints names of those that number their clients */
  constructor(endpoints: ReadonlySet<string>) {
    this.#endpoints = endpoints
  }

  /** @param endpoint that of the device. @returns why it cannot have the id */
  take(id: string, endpoint: string): string | undefined {
    const numbered = /^(.+)-\d+$/.exec(id)?.[1]
    if (numbered !== undefined && this.#endpoints.has(numbered)) {
      return `${id} may be the id of a client of ${numbered}, which numbers its clients`
    }
    const before = this.#taken.get(id)
    if (before !== undefined) return `there is a device ${id} in ${before} already`
    this.#taken.set(id, endpoint)
    return undefined
  }
}

type Mapping = Exclude<NonNullable<ConnectOutput['hosts']>, string>

function readMapping(hosts: Mapping, at: ConfigPath, reader: HostReader): void {
  for (const [id, written] of Object.entries(hosts)) {
    const path = [...at, id]
    const key: Place = { path, at: 'key' }
    if (typeof written === 'string') {
      reader.add({ id: { text: id, place: key }, host: { text: written, place: { path } }, port: undefined, tags: {} })
      continue
    }
    const said = (column: string): Said | undefined => {
      const value = written[column]
      return value === undefined ? undefined : { text: String(value), place: { path: [...path, column] } }
    }
    const others = Object.entries(written).filter(([column]) => !OWN_COLUMNS.has(column))
    const tags = Object.fromEntries(others.map(([column, value]) => [column, String(value)]))
    reader.add({
      id: { text: id, place: key },
      host: said('host') ?? { text: '', place: key },
      port: said('port'),
      tags,
    })
  }
}

function readFile(name: string, path: ConfigPath, { baseDir }: Environment, reader: HostReader, report: Report): void {
  const file = resolve(baseDir, name)
  let text: string | undefined
  try {
    text = decodeUtf8(readFileSync(file))
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error'
    const reason = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`
    const message = `the file ${name} ${reason}`
    report.add({ code: 'REFERENCE_FAILED', path, message, hint: `looked for ${file}` })
    return
  }
  if (text === undefined) {
    const hint = 'save it as CSV with the encoding UTF-8'
    report.add({ code: 'FILE_NOT_UTF8', path, message: `${name} is not UTF-8 text`, hint })
    return
  }
  const shown = report.fileBeside(name)
  const lines = text.split(/\r?\n/)
  const placeOf = ({ line, column }: Cell): Place => {
    return { path, position: { file: shown, line, column, text: maskSecrets(lines[line - 1] ?? '') } }
  }
  const { rows, open } = splitTable(text)
  if (open !== undefined) {
    const hint = 'write " behind the text; a quote inside it is written twice'
    report.add({ code: 'HOSTS_INVALID', ...placeOf(open), message: 'a quote is opened and never closed', hint })
  }
  const [header, ...devices] = rows
  const columns = header && columnsOf(header, placeOf, report)
  if (header === undefined) {
    const hint = 'the first line names the columns: id,host,port'
    report.add({ code: 'HOSTS_INVALID', path, message: `${name} is empty`, hint })
  }
  if (columns === undefined) return
  for (const row of devices) {
    const surplus = row[columns.length]
    if (surplus !== undefined) {
      const message = `the line has ${row.length} cells, and there are ${columns.length} columns`
      const hint = 'take cells away, or put the text that holds a separator in quotes'
      report.add({ code: 'HOSTS_INVALID', ...placeOf(surplus), message, hint })
      continue
    }
    const said = (column: string): Said | undefined => {
      const cell = row[columns.indexOf(column)]
      return cell && { text: cell.text, place: placeOf(cell) }
    }
    const nothing: Said = { text: '', place: placeOf(row.at(-1)!) }
    const tags = Object.fromEntries(
      columns.flatMap((column, i) => (OWN_COLUMNS.has(column) ? [] : [[column, row[i]?.text ?? '']])),
    )
    reader.add({ id: said('id') ?? nothing, host: said('host') ?? nothing, port: said('port'), tags })
  }
}

/** The names of the columns; undefined when they cannot be used, which is then reported. */
function columnsOf(header: readonly Cell[], placeOf: (cell: Cell) => Place, report: Report): string[] | undefined {
  const names = header.map(({ text }) => (OWN_COLUMNS.has(text.toLowerCase()) ? text.toLowerCase() : text))
  const hint = 'the first line names the columns: id,host,port, and others as you like'
  const wrong = header.find((_, i) => names[i] === '' || names.indexOf(names[i]!) !== i)
  const missing = ['id', 'host'].filter((name) => !names.includes(name))
  if (wrong !== undefined) {
    const message = wrong.text === '' ? 'a column has no name' : `the column ${wrong.text} stands twice`
    report.add({ code: 'HOSTS_INVALID', ...placeOf(wrong), message, hint })
  } else if (missing.length > 0) {
    const message = `there is no column ${missing.join(' and no column ')}`
    report.add({ code: 'HOSTS_INVALID', ...placeOf(header[0]!), message, hint })
  }
  return wrong === undefined && missing.length === 0 ? names : undefined
}

/** Columns that are no tags. */
const OWN_COLUMNS: ReadonlySet<string> = new Set(['id', 'host', 'port'])

/** A text of a device, and where it is written. */
interface Said {
  readonly text: string
  readonly place: Place
}

interface Line {
  readonly id: Said
  readonly host: Said
  readonly port: Said | undefined
  readonly tags: Readonly<Record<string, string>>
}

const ID = /^[A-Za-z0-9][\w.:-]*$/

/** Judges one device after the other. */
class HostReader {
  readonly hosts: Host[] = []
  readonly #endpoint: string
  readonly #ids: DeviceIds
  /** Of the entry: for devices that say none. */
  readonly #port: number | undefined
  readonly #report: Report

  constructor(endpoint: string, port: number | undefined, ids: DeviceIds, report: Report) {
    this.#endpoint = endpoint
    this.#ids = ids
    this.#port = port
    this.#report = report
  }

  add({ id, host, port, tags }: Line): void {
    const errors = this.#report.errors
    if (!ID.test(id.text)) {
      const message = id.text === '' ? 'a device has no id' : `${id.text} cannot be the id of a device`
      this.#wrong(id, message, 'write letters, digits, - _ . and :, beginning with a letter or a digit')
    }
    const taken = this.#report.errors > errors ? undefined : this.#ids.take(id.text, this.#endpoint)
    if (taken !== undefined) {
      const hint = 'give each device an id of its own, in all entries of connect'
      this.#report.add({ code: 'DEVICE_TAKEN', ...id.place, message: taken, hint })
    }
    const address = splitAddress(host.text)
    if (host.text === '') this.#wrong(host, `${id.text || 'a device'} has no host`, 'write its name or address')
    else if (address === undefined) {
      const hint = 'write 10.0.0.7, scale-7.local or, with a port, 10.0.0.7:4001'
      const problem = hostProblem(host.text) ?? { message: `${host.text} is no address`, hint }
      this.#wrong(host, problem.message, problem.hint)
    }
    const said = port !== undefined && port.text !== '' ? port : address?.port && { ...host, text: address.port }
    const number = said ? Number(said.text) : this.#port
    if (said && !isPort(said.text)) this.#wrong(said, `${said.text} is no port`, 'write a number from 1 to 65535')
    else if (number === undefined && address !== undefined) {
      const hint = 'write one for the device, or port: beside hosts: for all of them'
      this.#wrong(port ?? host, `${id.text || 'a device'} has no port`, hint)
    }
    if (this.#report.errors > errors || address === undefined || number === undefined) return
    this.hosts.push({ id: id.text, host: address.host, port: number, tags })
  }

  #wrong({ place }: Said, message: string, hint: string): void {
    this.#report.add({ code: 'HOSTS_INVALID', ...place, message, hint })
  }
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535
}
