import { formatBytes, parseBytes } from '../util/escapes.ts'
import type { Verdict } from './analyse.ts'
import type { WrittenPart } from './trial.ts'

/** A framing or format as it stands in YAML, on one line: `{ delimiter: "|" }`. */
export function partInYaml(written: WrittenPart): string {
  return typeof written === 'string' ? written : valueInYaml(written, '')
}

/**
 * A configuration that takes what was recorded and prints each message.
 * @param where lines that say where the device is, such as `port: 9100`
 */
export function verdictInYaml(verdict: Verdict, kind: 'listen' | 'connect', where: readonly string[]): string[] {
  return [
    `${kind}:`,
    '  device:',
    ...where.map((line) => `    ${line}`),
    `    framing: ${partInYaml(verdict.framing)}`,
    `    format: ${partInYaml(verdict.format)}`,
    '    dataflow:',
    '      - stdout: {}',
  ]
}

function valueInYaml(value: unknown, key: string): string {
  if (typeof value === 'object' && value !== null) {
    return `{ ${Object.entries(value)
      .map(([name, one]) => `${name}: ${valueInYaml(one, name)}`)
      .join(', ')} }`
  }
  if (typeof value !== 'string' || /^[\w.-]+$/.test(value)) return String(value)
  // A pattern has backslashes of its own, which double quotes would take.
  if (key === 'regex') return `'${value}'`
  return `"${formatBytes(parseBytes(value)).replaceAll('"', '\\"')}"`
}
