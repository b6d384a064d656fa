import { invalidAt, readUtf8 } from '../contracts/format.ts'
import { NOT_A_NUMBER, type ReadText } from './numbers.ts'

export interface KeyValueOptions {
  readonly separator: string
  readonly equals: string
  /** Empty when there are no quotes. */
  readonly quote: string
  readonly trim: boolean
  readonly repeated: 'error' | 'last' | 'list'
  readonly readText: ReadText | undefined
}

/** Reads the pairs of one frame. */
export class KeyValueReader {
  readonly #options: KeyValueOptions
  readonly #bytes: Buffer
  readonly #start: number
  readonly #end: number
  readonly #text: string
  #at = 0
  /** Where the next `equals` is; the end of the text when there is none. */
  #nextEquals = -1

  /** @throws SluiceError `format_invalid` when the frame is not UTF-8 */
  constructor(options: KeyValueOptions, bytes: Buffer, start: number, end: number) {
    this.#options = options
    this.#bytes = bytes
    this.#start = start
    this.#end = end
    this.#text = readUtf8(bytes, start, end)
  }

  /** @throws SluiceError `format_invalid` */
  read(): Record<string, unknown> {
    const { separator, equals } = this.#options
    const text = this.#text
    const pairs: Record<string, unknown> = {}
    for (; this.#at < text.length; this.#at += separator.length) {
      const from = this.#at
      const end = this.#nextSeparator()
      const middle = this.#equalsFrom(from)
      if (middle >= end) {
        if (text.slice(from, end).trim() !== '') this.#fail(`a piece without "${equals}"`, from)
        this.#at = end
        continue
      }
      const key = this.#trimmed(text.slice(from, middle))
      if (key === '') this.#fail('a value without a key', from)
      if (key === '__proto__') this.#fail('the key __proto__, which is refused,', from)
      this.#at = middle + equals.length
      this.#add(pairs, key, this.#value(key), from)
    }
    return pairs
  }

  #add(pairs: Record<string, unknown>, key: string, value: unknown, at: number): void {
    const { repeated } = this.#options
    if (repeated === 'last' || !Object.hasOwn(pairs, key)) {
      pairs[key] = value
      return
    }
    if (repeated === 'error') this.#fail(`the key ${key} comes twice`, at, key)
    const before = pairs[key]
    if (Array.isArray(before)) before.push(value)
    else pairs[key] = [before, value]
  }

  #value(key: string): unknown {
    const { quote, readText } = this.#options
    this.#skipBlanks()
    const from = this.#at
    const text = quote !== '' && this.#text[from] === quote ? this.#quoted(key) : this.#plain()
    const value = readText?.(text, key) ?? text
    if (value === NOT_A_NUMBER) this.#fail(`"${text.slice(0, 40)}" is not a number`, from, key)
    return value
  }

  #plain(): string {
    const from = this.#at
    this.#at = this.#nextSeparator()
    return this.#trimmed(this.#text.slice(from, this.#at))
  }

  #quoted(key: string): string {
    const { quote, separator } = this.#options
    const open = this.#at
    let value = ''
    for (let from = open + 1; ; ) {
      const close = this.#text.indexOf(quote, from)
      if (close === -1) this.#fail('a quote that is not closed', open, key)
      value += this.#text.slice(from, close)
      from = close + 2
      if (this.#text[close + 1] === quote) {
        value += quote
        continue
      }
      this.#at = close + 1
      this.#skipBlanks()
      if (this.#at === this.#text.length || this.#text.startsWith(separator, this.#at)) return value
      this.#fail('something behind the closing quote', this.#at, key)
    }
  }

  /** Goes to what is no blank, no further than to the separator, which may be a blank itself */
  #skipBlanks(): void {
    const { separator, trim } = this.#options
    const text = this.#text
    while (trim && this.#at < text.length && text[this.#at]!.trim() === '' && !text.startsWith(separator, this.#at)) {
      this.#at++
    }
  }

  #nextSeparator(): number {
    const found = this.#text.indexOf(this.#options.separator, this.#at)
    return found === -1 ? this.#text.length : found
  }

  /** Looked for once, and not for each piece before it: there may be a million. */
  #equalsFrom(from: number): number {
    if (this.#nextEquals < from) {
      const found = this.#text.indexOf(this.#options.equals, from)
      this.#nextEquals = found === -1 ? this.#text.length : found
    }
    return this.#nextEquals
  }

  #trimmed(text: string): string {
    return this.#options.trim ? text.trim() : text
  }

  #fail(problem: string, index: number, field?: string): never {
    const at = this.#start + Buffer.byteLength(this.#text.slice(0, index))
    throw invalidAt(problem, this.#bytes, this.#start, this.#end, at, field)
  }
}
