/** Where a text stops being JSON. */
export interface JsonFault {
  /** Index of the character at which it stops. */
  readonly index: number
  /** What is wrong there: "expected a value". */
  readonly problem: string
}

/**
 * Finds the first place at which a text is not JSON (RFC 8259). `JSON.parse` is faster and says less: it names a place
 * for some faults only, in words that differ between versions of V8. So this reads what that has refused.
 * @returns undefined when the text is JSON
 */
export function findJsonFault(text: string): JsonFault | undefined {
  const scanner = new Scanner(text)
  try {
    scanner.document()
    return undefined
  } catch (error) {
    if (error instanceof Stop) return { index: scanner.at, problem: error.problem }
    throw error
  }
}

/** Thrown inside the scanner alone. */
class Stop {
  readonly problem: string

  constructor(problem: string) {
    this.problem = problem
  }
}

class Scanner {
  at = 0
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  /** Not recursive: the text may be nested deeper than the stack. */
  document(): void {
    const open: ('{' | '[')[] = []
    for (;;) {
      this.#space()
      const char = this.#text[this.at]
      if (char === '{' || char === '[') {
        this.at++
        this.#space()
        if (this.#text[this.at] === CLOSING[char]) {
          this.at++
        } else {
          open.push(char)
          if (char === '{') this.#key()
          continue
        }
      } else {
        this.#scalar(char)
      }
      if (!this.#afterValue(open)) return
    }
  }

  /** Closes what ends here. @returns false at the end of the text, true when another value follows */
  #afterValue(open: ('{' | '[')[]): boolean {
    for (;;) {
      this.#space()
      const char = this.#text[this.at]
      const inside = open.at(-1)
      if (inside === undefined) {
        if (char === undefined) return false
        throw new Stop('unexpected text after the value')
      }
      if (char === ',') {
        this.at++
        if (inside === '{') this.#key()
        return true
      }
      if (char !== CLOSING[inside]) throw this.#stop(`expected , or ${CLOSING[inside]}`)
      this.at++
      open.pop()
    }
  }

  #key(): void {
    this.#space()
    if (this.#text[this.at] !== '"') throw this.#stop('expected a key in double quotes')
    this.#string()
    this.#space()
    if (this.#text[this.at] !== ':') throw this.#stop('expected :')
    this.at++
  }

  #scalar(char: string | undefined): void {
    if (char === '"') {
      this.#string()
      return
    }
    const word = LITERAL.find((literal) => this.#text.startsWith(literal, this.at))
    NUMBER.lastIndex = this.at
    const length = word?.length ?? NUMBER.exec(this.#text)?.[0].length
    if (length === undefined) throw this.#stop('expected a value')
    this.at += length
  }

  #string(): void {
    this.at++
    for (;;) {
      const unit = this.#text.charCodeAt(this.at)
      if (Number.isNaN(unit)) throw new Stop('the text ends inside a string')
      if (unit < 0x20) throw new Stop('a control character in a string')
      if (unit === QUOTE) break
      if (unit === BACKSLASH) {
        ESCAPE.lastIndex = this.at
        const escaped = ESCAPE.exec(this.#text)
        if (escaped === null) throw new Stop('this is no escape of JSON')
        this.at += escaped[0].length
      } else {
        this.at++
      }
    }
    this.at++
  }

  #space(): void {
    while (' \t\n\r'.includes(this.#text[this.at] ?? '-')) this.at++
  }

  #stop(problem: string): Stop {
    return new Stop(this.at < this.#text.length ? problem : `the text ends, ${problem}`)
  }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const CLOSING = { '{': '}', '[': ']' } as const
const LITERAL = ['true', 'false', 'null'] as const
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const ESCAPE = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y
