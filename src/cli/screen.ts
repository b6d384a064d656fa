import { createInterface, cursorTo, type Interface, moveCursor } from 'node:readline'
import { paint } from './terminal.ts'

/** A terminal on which lines appear above the one that is being typed. */
export interface Screen {
  readonly input: Interface
  /** Writes a line above the prompt; what is being typed stays as it is. */
  tell(line: string): void
  /** Takes the line that was just typed off the screen, so that it can be told with its time. */
  retract(typed: string): void
  close(): void
}

/** @param history newest first */
export function openScreen(history: string[], historySize: number): Screen {
  const { stdin, stdout } = process
  const input = createInterface({
    input: stdin,
    output: stdout,
    prompt: PROMPT,
    history,
    historySize,
    removeHistoryDuplicates: true,
  })
  let isOpen = true
  input.once('close', () => {
    isOpen = false
    clearFrom(0)
  })
  return {
    input,
    tell(line) {
      if (!isOpen) {
        stdout.write(`${line}\n`)
        return
      }
      clearFrom(input.getCursorPos().rows)
      stdout.write(`${line}\n`)
      drawInput()
    },
    retract(typed) {
      const width = stdout.columns || 80
      clearFrom(Math.floor((PROMPT.length + typed.length) / width) + 1)
    },
    close: () => input.close(),
  }

  /** Not by `prompt(true)`: behind a line of several rows that was pasted it takes the wrong row for the first. */
  function drawInput(): void {
    const { line, cursor } = input
    stdout.write(PROMPT + line.slice(0, cursor))
    // A terminal goes to the next row only with the next character.
    if (cursor > 0 && input.getCursorPos().cols === 0) stdout.write(' \r')
    stdout.write(`\x1b7${line.slice(cursor)}\x1b8`)
  }

  function clearFrom(rows: number): void {
    moveCursor(stdout, 0, -rows)
    cursorTo(stdout, 0)
    stdout.write('\x1b[J')
  }
}

const PROMPT = '> '

/** What went in a direction, with the local time; further lines of it are indented. */
export function inDirection(direction: 'in' | 'out' | 'note' | 'problem', lines: readonly string[]): string {
  const time = paint('dim', timeOf(new Date()))
  const arrow = {
    in: paint('cyan', '←'),
    out: paint('green', '→'),
    note: paint('dim', '·'),
    problem: paint('red', '!'),
  }
  const [first = '', ...rest] = lines
  return [`${time} ${arrow[direction]} ${first}`, ...rest.map((line) => `${' '.repeat(INDENT)}${line}`)].join('\n')
}

/** Local time, as clocks on the wall show it, with milliseconds. */
export function timeOf(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0')
  const milliseconds = String(date.getMilliseconds()).padStart(3, '0')
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${milliseconds}`
}

const INDENT = 'hh:mm:ss.mmm → '.length
