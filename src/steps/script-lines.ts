/** Puts the lines of a text together that comes in pieces. */
export class ScriptLines {
  #rest = ''

  /** @returns the lines that end in this piece */
  push(piece: string): string[] {
    const lines = (this.#rest + piece).split('\n')
    this.#rest = lines.pop()!
    if (this.#rest.length > LONGEST_LINE) lines.push(...this.end())
    return lines
  }

  /** @returns what has come behind the last line end, if anything */
  end(): string[] {
    const rest = this.#rest
    this.#rest = ''
    return rest === '' ? [] : [rest]
  }
}

/** Characters of a line without an end that wait for it. */
const LONGEST_LINE = 64 * 1024
