import { resolve } from 'node:path'
import type { PartDefinition } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Format, FormatContext } from '../contracts/format.ts'
import type { Framing } from '../contracts/framing.ts'
import type { Unresolved, z } from '../contracts/schema.ts'
import type { Registry } from '../registry/registry.ts'
import { type Environment, substitute } from './environment.ts'
import { warnOfLookAlikes } from './look-alikes.ts'
import { resolvePackage } from './packages.ts'
import { partInWords, readNamed, unknownPart, type Written, withoutShortForm } from './parts.ts'
import type { ConfigPath } from './problems.ts'
import type { Report } from './report.ts'
import { isMapping } from './shape.ts'
import { validate } from './validate.ts'

/** A framing or format, made. */
export interface Made<Part> {
  /** Its name and what its options mean. */
  readonly words: string
  readonly part: Part
}

/** A framing or format for each direction. */
export interface BothWays<Part> {
  readonly in: Made<Part>
  readonly out: Made<Part>
}

/**
 * Reads what parts are given as options, and makes framings and formats. Keeps what it has read, so that it can be compared
 * with another configuration.
 */
export class PartPlanner {
  readonly #registry: Registry
  readonly #report: Report
  readonly #environment: Environment
  readonly #unready: { readonly path: ConfigPath; readonly ready: Promise<SluiceError | undefined> }[] = []
  #written: unknown[] = []

  constructor(registry: Registry, report: Report, environment: Environment) {
    this.#registry = registry
    this.#report = report
    this.#environment = environment
  }

  /** Keeps something that was read elsewhere. */
  keepWritten(value: unknown): void {
    this.#written.push(value)
  }

  /** Everything that was kept since the last call. */
  takeWritten(): readonly unknown[] {
    const written = this.#written
    this.#written = []
    return written
  }

  /** Waits for the formats that take their time, and reports those that cannot be used. */
  async ready(): Promise<void> {
    for (const { path, ready } of this.#unready) {
      const error = await ready
      if (error !== undefined) this.#reportUnusable(error, path)
    }
  }

  /** @returns undefined when there is a mistake, which has been reported */
  framing(value: unknown, path: ConfigPath): Made<Framing> | undefined {
    const found = this.#named('framing', value, path)
    return found && this.#made(found, path, () => found.definition.create(found.options))
  }

  /** @param option of an endpoint: a framing for both directions, or one for each */
  framings(option: unknown, path: ConfigPath): BothWays<Framing> | undefined {
    return bothWays(option, path, (value, at) => this.framing(value, at))
  }

  /** A framing of a part, which may have one for each direction as an endpoint may. */
  framingOption(value: unknown, path: ConfigPath): Framing | undefined {
    if (!isMapping(value) || Object.keys(value).toSorted().join() !== 'in,out') return this.framing(value, path)?.part
    const incoming = this.framing(value['in'], [...path, 'in'])?.part
    const outgoing = this.framing(value['out'], [...path, 'out'])?.part
    return incoming && outgoing && { ...bound(outgoing), createDecoder: incoming.createDecoder.bind(incoming) }
  }

  /** @returns undefined when there is a mistake, which has been reported */
  format(value: unknown, path: ConfigPath): Made<Format> | undefined {
    const { baseDir } = this.#environment
    const context: FormatContext = {
      resolvePath: (file) => resolve(baseDir, file),
      resolvePackage: (name) => resolvePackage(name, baseDir),
    }
    const found = this.#named('format', value, path)
    const made = found && this.#made(found, path, () => found.definition.create(found.options, context))
    if (made?.part.ready !== undefined) this.#unready.push({ path, ready: made.part.ready })
    return made
  }

  /** @param option of an endpoint: a format for both directions, or one for each */
  formats(option: unknown, path: ConfigPath): BothWays<Format> | undefined {
    return bothWays(option, path, (value, at) => this.format(value, at))
  }

  /** @returns undefined when they cannot be used; the output itself may be anything, and expressions in it wait to be resolved */
  options(definition: PartDefinition, { options }: Written, path: ConfigPath): { output: unknown } | undefined {
    return this.validated(definition.options, withoutShortForm(definition, options), path)
  }

  /** Checks a mapping with the values of the environment put in. */
  validated<Schema extends z.ZodType>(schema: Schema, value: unknown, path: ConfigPath) {
    const substituted = substitute(value, schema, path, this.#environment, this.#report)
    warnOfLookAlikes(substituted, schema, path, this.#report)
    const valid = validate(schema, substituted, path, this.#report)
    this.keepWritten(valid?.output)
    return valid
  }

  /** Reports what the part itself has against its options, which are resolved. */
  check(definition: PartDefinition, options: unknown, path: ConfigPath): void {
    const { baseDir } = this.#environment
    const problems = definition.check?.(options, { resolvePath: (file) => resolve(baseDir, file) }) ?? []
    for (const problem of problems) {
      this.#report.add({ code: 'VALUE_INVALID', ...problem, path: [...path, ...problem.path] })
    }
  }

  #named<Kind extends 'framing' | 'format'>(kind: Kind, value: unknown, path: ConfigPath) {
    const written = readNamed(kind, value, path)
    if ('code' in written) {
      this.#report.add(written)
      return undefined
    }
    const definition = this.#registry.get(kind, written.name)
    const at = typeof value === 'string' ? path : [...path, written.name]
    if (definition === undefined) {
      const finding = unknownPart(kind, written.name, at, this.#registry)
      this.#report.add(typeof value === 'string' ? finding : { ...finding, at: 'key' })
      return undefined
    }
    const options = this.options(definition, written, at)
    if (options === undefined) return undefined
    this.check(definition, options.output, at)
    return { definition, options: options.output }
  }

  #made<Part>({ definition, options }: Named, path: ConfigPath, create: () => Part): Made<Part> | undefined {
    try {
      return { words: partInWords(definition, options), part: create() }
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error
      this.#reportUnusable(error, path)
      return undefined
    }
  }

  #reportUnusable({ message, hint }: SluiceError, path: ConfigPath): void {
    this.#report.add({ code: 'VALUE_INVALID', path, message, hint })
  }
}

/** A framing or format that was looked up. */
interface Named {
  readonly definition: PartDefinition
  readonly options: unknown
}

function bothWays<Part>(
  option: unknown,
  path: ConfigPath,
  make: (value: unknown, path: ConfigPath) => Made<Part> | undefined,
): BothWays<Part> | undefined {
  const written = (one: unknown) => (one as Unresolved).value
  if (!isMapping(option)) {
    const both = make(written(option), path)
    return both && { in: both, out: both }
  }
  const incoming = make(written(option['in']), [...path, 'in'])
  const outgoing = make(written(option['out']), [...path, 'out'])
  return incoming && outgoing && { in: incoming, out: outgoing }
}

/** What a framing writes with. */
function bound(framing: Framing): Pick<Framing, 'encode' | 'encodeFrames'> {
  return {
    encode: framing.encode.bind(framing),
    ...(framing.encodeFrames && { encodeFrames: framing.encodeFrames.bind(framing) }),
  }
}
