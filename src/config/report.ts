import { dirname, isAbsolute, join, resolve } from 'node:path'
import type { LoadedConfig } from './loaded.ts'
import { type ConfigPath, formatPath, type MistakeCode, type Position, type Problem } from './problems.ts'

/** A problem before its place in the file is known. */
export interface Finding {
  readonly code: MistakeCode
  readonly path: ConfigPath
  readonly message: string
  readonly expected?: string | undefined
  readonly hint?: string | undefined
  readonly severity?: 'error' | 'warning'
  /** The option that was probably meant: it is then not reported as missing. */
  readonly means?: ConfigPath | undefined
  /** What to point at: the value (default), its key, or a character of a text. */
  readonly at?: 'value' | 'key' | number
  /** Where it stands, when that is not in the configuration itself but in a file that it names. */
  readonly position?: Position
  /** There is a secret in the line, so it is not shown. */
  readonly hideLine?: boolean
}

/**
 * Collects all problems of one configuration: gives each its place, and drops what is said twice. Nothing that is known
 * to be a secret gets out of here.
 */
export class Report {
  readonly #loaded: LoadedConfig
  readonly #problems = new Map<string, Problem>()
  /** Lines whose YAML is already wrong: what else is found in them follows from that. */
  readonly #wrongLines: ReadonlySet<string>
  readonly #secrets = new Set<string>()
  /** Options that were probably meant where another stands. */
  readonly #meant: ConfigPath[] = []
  /** Lines that are not shown, whatever is wrong in them. */
  readonly #hiddenLines = new Set<string>()

  constructor(loaded: LoadedConfig) {
    this.#loaded = loaded
    this.#wrongLines = new Set(loaded.problems.flatMap(({ position }) => (position ? [lineOf(position)] : [])))
    for (const problem of loaded.problems) this.#problems.set(identity(problem), problem)
  }

  /** Values of options that are secret. */
  get secrets(): ReadonlySet<string> {
    return this.#secrets
  }

  /** A text that must not be shown. One of less than four characters is not looked for: it would be found everywhere. */
  addSecret(text: string): void {
    if (text.length >= 4) this.#secrets.add(text)
  }

  add(finding: Finding): void {
    const { code, path, expected, hint, severity = 'error', at = 'value', hideLine, means } = finding
    const message = this.#inOrigin(finding.message, path)
    if (means !== undefined) this.#meant.push(means)
    const position = finding.position ?? this.#locate(path, at)
    if (position !== undefined && this.#wrongLines.has(lineOf(position))) return
    if (position !== undefined && hideLine) this.#hiddenLines.add(lineOf(position))
    const problem: Problem = {
      code,
      severity,
      path,
      message,
      ...(position && { position }),
      ...(expected !== undefined && { expected }),
      ...(hint !== undefined && { hint }),
    }
    this.#problems.set(identity({ ...problem, path: this.originOf(path) }), problem)
  }

  get failed(): boolean {
    return this.errors > 0
  }

  /** How many errors there are so far. */
  get errors(): number {
    return this.#wrongPaths().length
  }

  /** True when a mistake has been reported of what stands at a path, or around it: more would only follow from that. */
  isWrong(path: ConfigPath): boolean {
    const origin = this.originOf(path)
    const touches = (other: ConfigPath) => isWithin(path, other) || isWithin(origin, this.originOf(other))
    return [...this.#wrongPaths(), ...this.#meant].some(touches)
  }

  /** True when a mistake has been reported of what stands at a path, or of something in it. */
  isWrongWithin(path: ConfigPath): boolean {
    const origin = this.originOf(path)
    return this.#wrongPaths().some((other) => isWithin(this.originOf(other), origin))
  }

  /** True when a key of the mapping at a path was reported as another one that was meant. */
  isMisspelt(path: ConfigPath): boolean {
    return this.#meant.some((meant) => formatPath(meant.slice(0, -1)) === formatPath(path))
  }

  /** The number, truth value or text at a path as it is written. */
  sourceOf(path: ConfigPath): string | undefined {
    return this.#loaded.sourceOf(path)
  }

  /** A file that the configuration names, as people find it: from where they have named the configuration. */
  fileBeside(name: string): string {
    const { file, baseDir } = this.#loaded
    if (isAbsolute(name) || file === '') return name
    return join(resolve(file) === baseDir ? file : dirname(file), name)
  }

  /** The path at which the value at a path is written: that below `defaults`, where it is given to several. */
  originOf(path: ConfigPath): ConfigPath {
    return this.#loaded.originOf(path)
  }

  /** Where the key at the end of a path stands. */
  positionOf(path: ConfigPath): Position | undefined {
    return this.#loaded.locateKey(path)
  }

  /** All problems, in the order of each file. */
  finish(): Problem[] {
    const files = Map.groupBy(this.#problems.values(), ({ position }) => position?.file)
    const sorted = Array.from(files.values(), (problems) => problems.toSorted(byPlace))
    return sorted.flat().map((problem) => this.#mask(problem))
  }

  /** What the errors are of. */
  #wrongPaths(): ConfigPath[] {
    return [...this.#problems.values()].flatMap(({ severity, path }) => (severity === 'error' ? [path] : []))
  }

  /** A message as it is true for all entries that have the value: with the path at which it is written. */
  #inOrigin(message: string, path: ConfigPath): string {
    const origin = this.originOf(path)
    if (origin === path) return message
    return message.replaceAll(formatPath(path.slice(0, 2)), formatPath(origin.slice(0, 2)))
  }

  #locate(path: ConfigPath, at: 'value' | 'key' | number) {
    if (typeof at === 'number') return this.#loaded.locateText(path, at)
    return at === 'key' ? this.#loaded.locateKey(path) : this.#loaded.locate(path)
  }

  #mask(problem: Problem): Problem {
    const hide = (text: string) => {
      let masked = text
      for (const secret of this.#secrets) masked = masked.replaceAll(secret, '…')
      return masked
    }
    const { position, message, expected, hint } = problem
    return {
      ...problem,
      message: hide(message),
      ...(position && { position: this.#maskLine(position, hide) }),
      ...(expected !== undefined && { expected: hide(expected) }),
      ...(hint !== undefined && { hint: hide(hint) }),
    }
  }

  #maskLine(position: Position, hide: (text: string) => string): Position {
    const { file, line, column, text } = position
    const shown = text === undefined || this.#hiddenLines.has(lineOf(position)) ? {} : { text: hide(text) }
    return { file, line, column, ...shown }
  }
}

function identity({ code, path, message, position }: Problem): string {
  return JSON.stringify([code, path, message, position?.file, position?.line, position?.column])
}

/** Whether a path is, or goes on from, another one. */
function isWithin(path: ConfigPath, other: ConfigPath): boolean {
  return other.length > 0 && path.slice(0, other.length).join('\0') === other.join('\0')
}

/** Tells the lines of several files apart. */
function lineOf({ file, line }: Position): string {
  return `${line} ${file}`
}

function byPlace(a: Problem, b: Problem): number {
  if (a.position === undefined || b.position === undefined) return 0
  return a.position.line - b.position.line || a.position.column - b.position.column
}
