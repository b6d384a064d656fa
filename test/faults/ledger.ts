import { NumberRanges } from './number-ranges.ts'

/**
 * What was sent on one connection and what was acknowledged on it. Messages are numbered from 1. A connection that was
 * lost is never continued: the one that follows is a stream of its own.
 */
export interface Stream {
  readonly id: number
  /** Number of the message that was sent last. */
  sent: number
  readonly acknowledged: NumberRanges
}

/** All that was sent and acknowledged in a scenario. It grows with connections and gaps, not with messages. */
export class Ledger {
  /** Length of every line in bytes, without its line end. */
  readonly lineLength: number
  readonly streams: Stream[] = []

  /** @param lineLength bytes of a line, at least 24 so that any id fits */
  constructor(lineLength = 200) {
    this.lineLength = lineLength
  }

  open(): Stream {
    const stream = { id: this.streams.length + 1, sent: 0, acknowledged: new NumberRanges() }
    this.streams.push(stream)
    return stream
  }

  get sent(): number {
    return this.streams.reduce((sum, { sent }) => sum + sent, 0)
  }

  get acknowledged(): number {
    return this.streams.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0)
  }

  /** The message itself: its id, a blank, and letters up to the length of a line. They differ, so that a mix-up shows. */
  line(stream: number, number: number): string {
    const id = formatId(stream, number)
    const letter = String.fromCharCode(97 + ((stream + number) % 26))
    return `${id} `.padEnd(this.lineLength, letter)
  }
}

export function formatId(stream: number, number: number): string {
  return `${stream}:${number}`
}

/** @returns undefined for what is no id */
export function parseId(text: string): { readonly stream: number; readonly number: number } | undefined {
  const colon = text.indexOf(':')
  const stream = Number(text.slice(0, colon))
  const number = Number(text.slice(colon + 1))
  if (colon < 1 || !Number.isSafeInteger(stream) || !Number.isSafeInteger(number) || number < 1) return undefined
  return { stream, number }
}
