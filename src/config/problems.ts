/**
 * What can be wrong with a configuration: a closed set of codes, each with its meaning.
 *
 * A code is stable under semantic versioning. `docs/reference/errors.md` is generated from this table. What can go wrong
 * while the server runs has codes of its own, in `contracts/errors.ts`.
 */
export const mistakes = {
  FILE_MISSING: 'There is no file of this name.',
  FILE_IS_FOLDER: 'A folder was named where a file is needed.',
  FILE_UNREADABLE: 'The operating system does not let us read the file.',
  FILE_NOT_UTF8: 'The file is not UTF-8 text.',
  FILE_EMPTY: 'The file holds no configuration.',
  MODULE_FAILED: 'A TypeScript or JavaScript configuration could not be loaded, or exports nothing.',
  YAML_INVALID: 'The file is not valid YAML.',
  YAML_INDENT: 'A line is indented so that it belongs nowhere, or a bracket or quote is not closed.',
  YAML_TAB: 'A tab indents a line; YAML allows spaces only.',
  YAML_DUPLICATE_KEY: 'A key stands twice in one mapping.',
  YAML_TAG: 'An unquoted ! makes a YAML tag of what was meant as a text.',
  YAML_ANCHOR: 'An unquoted * or & makes a YAML alias or anchor of what was meant as a text.',
  YAML_COMMENT: 'An unquoted # begins a comment inside an expression or a text.',
  YAML_HALF_EXPRESSION: 'YAML reads a part of an unquoted expression as a key.',
  YAML_NEEDS_QUOTES: 'A text holds or begins with a character that has a meaning in YAML.',
  YAML_TOO_MANY_ALIASES: 'Aliases multiply the file beyond all measure.',
  INCLUDE_INVALID: 'What include names cannot be taken in, or include stands where it has no meaning.',
  KEY_TAKEN: 'A setting that there is once stands in two files.',
  KEY_UNKNOWN: 'There is no option of this name.',
  KEY_MISSING: 'An option that has no default is absent.',
  VALUE_INVALID: 'An option has a value that it cannot have.',
  HEX_NOT_QUOTED: 'Hexadecimal digits without quotes are read as a number.',
  STEP_INVALID: 'An element of a dataflow is not one key that names a step or sink.',
  STEP_UNKNOWN: 'There is no step or sink of this name.',
  FRAMING_INVALID: 'A framing is not given as one name.',
  FRAMING_UNKNOWN: 'There is no framing of this name.',
  FORMAT_INVALID: 'A format is not given as one name.',
  FORMAT_UNKNOWN: 'There is no format of this name.',
  SUBSCRIPTION_INVALID: 'An entry of subscribe has not one key that names a subscription.',
  SUBSCRIPTION_UNKNOWN: 'There is no subscription of this name.',
  DATAFLOW_UNKNOWN: 'There is no entry of this name under dataflows.',
  DATAFLOW_RECURSIVE: 'A dataflow contains itself.',
  DATAFLOW_UNUSED: 'Nothing uses this entry of dataflows.',
  DATAFLOW_MISSING: 'An endpoint does nothing with its messages.',
  NOT_EVALUATED: 'A text names something of a message without ${…} around it, and so stays as it is.',
  BYTES_IN_LETTERS: 'Bytes are given as the name of a control character, which stands for its letters.',
  EXPRESSION_INVALID: 'An expression, or one inside a text, cannot be compiled.',
  TLS_FILE_INVALID: 'A file of a certificate or key holds none, or the two do not belong together.',
  TRUST_MISSING: 'proxyProtocol names no address whose headers are believed, or believes everybody.',
  REFERENCE_FAILED: 'An environment variable or file that the configuration refers to is absent or unreadable.',
  TEMPLATE_NOT_ALLOWED: 'A text with an expression in it stands in an option that is fixed when the file is loaded.',
  ADDRESS_MISSING: 'An endpoint says nowhere to listen or to connect to.',
  ADDRESS_AMBIGUOUS: 'An endpoint says in two ways where it listens or what it connects to.',
  HOSTS_INVALID: 'What hosts says of a device, or the file that it names, cannot be used.',
  DEVICE_TAKEN: 'Two devices, or a device and a client of another endpoint, have the same id.',
  ADDRESS_TAKEN: 'Two entries listen on the same address.',
  NAME_TAKEN: 'Two endpoints have the same name.',
  ID_MISSING: 'A step keeps messages on disk and has no id to find them by.',
  ID_TAKEN: 'Two steps have the same id.',
  STEP_MISPLACED: 'A step stands where it cannot do its work.',
  SCOPE_MISSING: 'A step remembers something for several connections, and there are several workers.',
  WORKERS_UNSUPPORTED: 'A program that embeds the server has no workers.',
  NO_CONNECTION: 'A step answers where there is nobody to answer.',
  SCHEDULE_INVALID: 'An entry of schedule does not say in one way when it runs.',
  ENDPOINT_UNKNOWN: 'A step names an endpoint that is not there, or that has no clients.',
  NO_ENDPOINT: 'The configuration has neither listen nor connect, subscribe or schedule.',
} as const satisfies Record<string, string>

/** A code of {@link mistakes}. */
export type MistakeCode = keyof typeof mistakes

/** Where something stands in the value of a configuration: keys, and indexes of lists. */
export type ConfigPath = readonly (string | number)[]

/** A place in a file, for people: both numbers begin with 1. */
export interface Position {
  readonly file: string
  readonly line: number
  readonly column: number
  /** The line as it stands in the file, with secrets made unreadable. */
  readonly text?: string
}

/** One mistake in a configuration. */
export interface Problem {
  readonly code: MistakeCode
  /** A configuration with an error is not run; a warning is only shown. */
  readonly severity: 'error' | 'warning'
  readonly path: ConfigPath
  /** Absent for configurations that are not YAML. */
  readonly position?: Position
  /** What is wrong: one clause, without a full stop. */
  readonly message: string
  /** What would be right: "a duration with a unit, such as 30s". */
  readonly expected?: string
  /** What to do: "write 30s". */
  readonly hint?: string
}

/** A path as people write it: `listen.scales.dataflow[2]`; '' for the whole configuration. */
export function formatPath(path: ConfigPath): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else if (/^[\w-]+$/.test(part)) text += text === '' ? part : `.${part}`
    else text += `[${JSON.stringify(part)}]`
  }
  return text
}

/**
 * All problems for a terminal: place, code, message, then what was expected, what to do, and the line with a caret.
 * @param options.color with ANSI colours
 * @returns '' when there are none, else text that ends with a line end
 */
export function formatProblems(problems: readonly Problem[], options: { color?: boolean } = {}): string {
  const paint = options.color ? (code: number, text: string) => `\x1b[${code}m${text}\x1b[0m` : plain
  return problems.map((problem) => formatProblem(problem, paint)).join('\n')
}

/** One problem as a line: place, code, message and hint. */
export function summarizeProblem({ code, path, position, message, hint }: Problem): string {
  const place = placeOf(path, position)
  const cure = hint === undefined ? '' : ` → ${hint}`
  return `${place === '' ? '' : `${place} `}${code} ${message}${cure}`
}

/** Makes values of keys that look like secrets, and passwords in URLs, unreadable in a line of YAML. */
export function maskSecrets(line: string): string {
  return line
    .replaceAll(
      /((?:pass|pasw|pwd|secret|token|credential|api-?key)\w*["']?\s*:\s*)(?:"[^"]*"?|'[^']*'?|[^\s,}][^,}]*)/gi,
      '$1…',
    )
    .replaceAll(/(:\/\/[^\s/:@]*:)[^\s/@]+@/g, '$1…@')
}

type Paint = (code: number, text: string) => string

const RED = 31
const YELLOW = 33
const CYAN = 36
const DIM = 2
const BOLD = 1
const LONGEST_LINE = 110

const plain: Paint = (_code, text) => text

function formatProblem({ severity, code, path, position, message, expected, hint }: Problem, paint: Paint): string {
  const place = placeOf(path, position)
  const name = paint(severity === 'error' ? RED : YELLOW, code)
  const lines = [
    [paint(BOLD, place), name, severity === 'error' ? message : `warning: ${message}`]
      .filter((word) => word !== '')
      .join('  '),
  ]
  if (expected !== undefined) lines.push(`    expected ${expected}`)
  if (hint !== undefined) lines.push(`    ${paint(CYAN, '→')} ${hint}`)
  if (position?.text !== undefined) lines.push(...showLine(position, position.text, paint))
  return `${lines.join('\n')}\n`
}

function placeOf(path: ConfigPath, position: Position | undefined): string {
  return position ? `${position.file}:${position.line}:${position.column}` : formatPath(path)
}

/** The line with a caret below the column; a long line is cut so that the column is still seen. */
function showLine({ line, column }: Position, text: string, paint: Paint): string[] {
  const from = Math.max(0, column - LONGEST_LINE + 20)
  const shown = text.slice(from, from + LONGEST_LINE).replaceAll('\t', ' ')
  const margin = ' '.repeat(String(line).length)
  return [
    paint(DIM, `    ${line} | ${from > 0 ? '…' : ''}${shown}`),
    paint(DIM, `    ${margin} | ${' '.repeat(Math.min(column - 1, text.length) - from + (from > 0 ? 1 : 0))}^`),
  ]
}
