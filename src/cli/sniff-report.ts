import type { Verdict } from '../sniff/analyse.ts'
import { framesInWords } from '../sniff/formats.ts'
import { partInYaml, verdictInYaml } from '../sniff/written.ts'
import { showBytes } from './safe-text.ts'
import { paint } from './terminal.ts'

/**
 * What `sluice sniff` says in the end: the verdict, why, the first messages, and a configuration.
 * @param where lines of YAML that say where the device is
 */
export function verdictInWords(verdict: Verdict, where: readonly string[], kind: 'listen' | 'connect'): string[] {
  const { confidence, framing, format, reasons, frames, others, warning } = verdict
  if (warning !== undefined) return ['', paint('yellow', `warning: ${warning}`), '']
  if (frames.length === 0) return ['', 'nothing has arrived, so there is nothing to propose', '']
  const isSure = confidence !== 'unsure'
  const head = isSure
    ? paint(
        confidence === 'sure' ? 'green' : 'yellow',
        `${confidence}: framing ${partInYaml(framing)}, format ${partInYaml(format)}`,
      )
    : paint('yellow', 'unsure')
  const other = isSure ? 'it may also be' : 'it may be'
  return [
    '',
    head,
    ...reasons.map((reason) => `  - ${reason}`),
    ...(others.length > 0 ? [`  - ${other} ${others.map(partInYaml).join(' or ')}`] : []),
    ...(isSure
      ? ['', framesInWords(frames), ...frames.slice(0, SHOWN).map((frame) => `  ${cut(showBytes(frame))}`)]
      : []),
    '',
    ...(isSure ? [] : ['# Takes every read as it comes, whatever it is.']),
    ...verdictInYaml(verdict, kind, where),
    '',
  ]
}

function cut(text: string): string {
  return text.length > WIDTH ? `${text.slice(0, WIDTH)}…` : text
}

/** How many messages are shown, and how much of each. */
const SHOWN = 3
const WIDTH = 100
