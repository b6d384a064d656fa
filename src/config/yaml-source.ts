import { resolve } from 'node:path'
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  Scalar,
  visit,
} from 'yaml'
import type { LoadedConfig } from './loaded.ts'
import { type ConfigPath, maskSecrets, type Position, type Problem } from './problems.ts'
import { explainYamlErrors } from './yaml-errors.ts'
import type { YamlFinding } from './yaml-text.ts'
import { findYamlTraps } from './yaml-traps.ts'

/** Reads a configuration written in YAML 1.2 (of which JSON is a part). All that is wrong is found at once. */
export function readYaml(text: string, file: string, baseDir: string): LoadedConfig {
  const lineCounter = new LineCounter()
  const document = parseDocument(text, {
    version: '1.2',
    lineCounter,
    keepSourceTokens: true,
    prettyErrors: false,
    // Its warnings would quote the file, and with it perhaps a secret.
    logLevel: 'error',
    // Keys are texts always: `{ 7: … }` under `lookup:` has the key "7".
    stringKeys: true,
  })
  const lines = text.split(/\r?\n/)
  const place = (offset: number): Position => {
    const { line, col } = lineCounter.linePos(offset)
    return { file, line, column: col, text: maskSecrets(lines[line - 1] ?? '') }
  }
  const findings = causes(findYamlTraps(document, text), explainYamlErrors(document, text), lineCounter)
  const { value, finding } = plainValue(document)
  if (finding !== undefined) findings.push(finding)
  const start = (node: Node | undefined) => place(node?.range?.[0] ?? 0)
  return {
    value: findings.some(({ structural }) => structural) ? undefined : value,
    file,
    text,
    baseDir,
    problems: findings.map((found) => toProblem(found, place)),
    watched: [resolve(file)],
    originOf: (path) => path,
    locate: (path) => start(valueNode(find(document, path))),
    locateKey: (path) => start(find(document, path).key),
    sourceOf(path) {
      const { value } = find(document, path)
      return isScalar(value) && value.range ? text.slice(value.range[0], value.range[1]) : undefined
    },
    locateText(path, offset) {
      // A short form stands one level above the option that it stands for, so the path may go further than the file.
      const { value } = find(document, path)
      const at = isScalar(value) ? offsetInScalar(value, text, offset) : undefined
      return at === undefined ? start(valueNode(find(document, path))) : place(at)
    },
  }
}

interface FoundNode {
  readonly key: Node | undefined
  readonly value: Node | undefined
  /** False when the path goes further than the document. */
  readonly complete: boolean
}

function find(document: Document, path: ConfigPath): FoundNode {
  let key: Node | undefined
  let value: Node | undefined = document.contents ?? undefined
  for (const part of path) {
    const parent: Node | undefined = isAlias(value) ? value.resolve(document) : value
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part))
      if (pair === undefined) return { key, value, complete: false }
      key = pair.key as Node
      value = isNode(pair.value) ? pair.value : undefined
    } else if (isSeq(parent) && isNode(parent.items[Number(part)])) {
      key = parent.items[Number(part)] as Node
      value = key
    } else if (!isSeq(parent) || typeof part === 'number') {
      return { key, value, complete: false }
    }
    // A list has no options: it is the short form of the option that is asked for, and the path goes on in it.
  }
  return { key, value, complete: true }
}

/** The node to point at: the value, or the key where there is no value or where it lacks what was looked for. */
function valueNode({ key, value, complete }: FoundNode): Node | undefined {
  const absent = value === undefined || (isScalar(value) && value.source === '' && value.type === 'PLAIN')
  return absent || (!complete && isCollection(value)) ? key : value
}

/** Where in the file a character of a scalar's value stands; undefined when it cannot be told cheaply. */
function offsetInScalar(scalar: Scalar, text: string, offset: number): number | undefined {
  const [from, to] = scalar.range ?? [0, 0]
  const source = text.slice(from, to)
  if (source.includes('\n')) return undefined
  if (scalar.type === 'PLAIN') return from + offset
  if (scalar.type !== 'QUOTE_SINGLE' && scalar.type !== 'QUOTE_DOUBLE') return undefined
  const escapeSequence = scalar.type === 'QUOTE_SINGLE' ? /''/y : /\\(?:x..|u.{4}|U.{8}|.)/y
  let at = 1
  for (let unit = 0; unit < offset && at < source.length - 1; unit++) {
    escapeSequence.lastIndex = at
    at += escapeSequence.exec(source)?.[0].length ?? 1
  }
  return from + at
}

/** The plain value. An alias of nothing has been reported as a trap and counts as null, in its place. */
function plainValue(document: Document): { value: unknown; finding?: YamlFinding } {
  visit(document, {
    Alias(_key, alias) {
      if (alias.resolve(document) !== undefined) return undefined
      const nothing = new Scalar(null)
      nothing.range = alias.range ?? null
      return nothing
    },
  })
  try {
    return { value: document.toJS({ maxAliasCount: 100 }) as unknown }
  } catch {
    const message = 'aliases multiply this file beyond all measure'
    const hint = 'write what is repeated once under dataflows: and use it by name'
    return { value: undefined, finding: { code: 'YAML_TOO_MANY_ALIASES', offset: 0, message, hint, structural: true } }
  }
}

/**
 * The findings that are no consequence of another, in the order of the file: of one line only one, traps first, and
 * nothing of what the parser says after it has lost its way.
 */
function causes(
  traps: readonly YamlFinding[],
  errors: readonly YamlFinding[],
  lineCounter: LineCounter,
): YamlFinding[] {
  const lineOf = ({ offset }: YamlFinding) => lineCounter.linePos(offset).line
  const lost = Math.min(...[...traps, ...errors].filter(({ derails }) => derails).map(lineOf))
  const lines = new Map<number, YamlFinding>()
  for (const found of [...traps, ...errors.filter((error) => error.certain || lineOf(error) <= lost)]) {
    const first = lines.get(lineOf(found))
    lines.set(lineOf(found), { ...(first ?? found), structural: found.structural || first?.structural === true })
  }
  const broken = errors.some((error) => error.structural && lineOf(error) > lost)
  return [...lines.values()]
    .map((found) => (broken && found.derails ? { ...found, structural: true } : found))
    .sort((a, b) => a.offset - b.offset)
}

function toProblem({ code, offset, message, hint }: YamlFinding, place: (offset: number) => Position): Problem {
  return {
    code,
    severity: 'error',
    path: [],
    position: place(offset),
    message,
    ...(hint && { hint: maskSecrets(hint) }),
  }
}
