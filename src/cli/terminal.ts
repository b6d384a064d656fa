import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

/** Writes a line to standard output. */
export function print(line = ''): void {
  process.stdout.write(`${line}\n`)
}

/** Writes a line to standard error. */
export function printError(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** Colours a text where the stream is a terminal that wants colours; elsewhere the text stays plain. */
export function paint(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return styleText(style, text, { stream })
}

/** Whether colours may be written: a terminal, and neither NO_COLOR nor a dumb terminal says otherwise. */
export function hasColors(stream: NodeJS.WriteStream): boolean {
  return paint('bold', 'x', stream) !== 'x'
}
