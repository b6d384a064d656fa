import { type Code, js } from '../codegen/code.ts'
import { FieldFault, notPrintable } from './struct-bytes.ts'
import { type Fixed, indexOf, type Place, type Reading, type Writing } from './struct-coding.ts'

/** What a number of a frame means, and back. */
export interface Meaning {
  /** As of {@link Fixed}. @param raw what was read, at `place` */
  read(reading: Reading, raw: Code, place: Place): Code
  /** The number that is written: an expression, which is undefined when the value means no number. */
  write(writing: Writing, value: Code): Code
  /** What can be written: "a number". */
  readonly takes: string
}

/**
 * `raw * scale + offset`, so that 235 with the scale 0.1 is 23.5. It is worked out in whole numbers and one division, so
 * 3 is 0.3 and not 0.30000000000000004. What is written is rounded to the nearest step.
 */
export function scaled(scale: number, offset: number, label: string): Meaning {
  const places = Math.max(decimals(scale), decimals(offset))
  const divisor = 10 ** places
  const factor = Math.round(scale * divisor)
  const addend = Math.round(offset * divisor)
  return {
    takes: 'a number',
    read({ body }, given, place) {
      const raw = body.keep(given)
      body.add(js`if (typeof ${raw} !== 'number') throw ${body.call(tooLarge, label, indexOf(place))}`)
      return js`((${raw} * ${factor} + ${addend}) / ${divisor})`
    },
    write: ({ body }, value) => body.call(unscaled, value, factor, addend, divisor),
  }
}

/** Names for numbers. A number that has none stays a number. */
export function named(names: Readonly<Record<string, string>>): Meaning {
  const byNumber = new Map(Object.entries(names).map(([number, name]) => [Number(number), name]))
  const byName = new Map(Object.entries(names).map(([number, name]) => [name, Number(number)]))
  return {
    takes: `a number or one of ${[...byName.keys()].join(', ')}`,
    read: ({ body }, raw) => body.call(nameOf, body.constant(byNumber), raw),
    write: ({ body }, value) => body.call(numberOf, body.constant(byName), value),
  }
}

/** A number of a frame as what it means. */
export function withMeaning(number: Fixed, meaning: Meaning, label: string): Fixed {
  return {
    size: number.size,
    read: (reading, place) => meaning.read(reading, number.read(reading, place), place),
    write(writing, place, value) {
      const { body } = writing
      const raw = body.keep(meaning.write(writing, value))
      body.add(js`if (${raw} === undefined) throw ${body.call(notPrintable, label, value, meaning.takes)}`)
      number.write(writing, place, raw)
    },
  }
}

/** A number that is the same in every frame; one that is not given is written as it must be. */
export function constantNumber(number: Fixed, expected: number, label: string): Fixed {
  return {
    size: number.size,
    read(reading, place) {
      const { body } = reading
      const value = body.keep(number.read(reading, place))
      body.add(
        js`if (${value} !== ${expected}) throw ${body.call(wrong, label, value, show(expected), indexOf(place))}`,
      )
      return value
    },
    write(writing, place, value) {
      const { body } = writing
      body.add(body.call(mustBe, value, expected, show(expected), label))
      number.write(writing, place, js`${expected}`)
    },
  }
}

/**
 * A text, or bytes, that are the same in every frame.
 * @param content reads them where they are wrong, for the error
 * @param written `expected` as it stands in a frame
 */
export function constantContent(content: Fixed, expected: string | Buffer, written: Buffer, label: string): Fixed {
  return {
    size: content.size,
    read(reading, place) {
      const { body } = reading
      const at = indexOf(place)
      body.block(js`if (!${body.call(isAt, body.constant(written), js`bytes`, at)})`, (inner) => {
        const found = content.read({ ...reading, body: inner }, place)
        inner.add(js`throw ${inner.call(wrong, label, found, show(expected), at)}`)
      })
      return typeof expected === 'string' ? js`${expected}` : content.read(reading, place)
    },
    write({ body }, place, value) {
      const given = typeof expected === 'string' ? expected : body.constant(expected)
      body.add(body.call(mustBe, value, given, show(expected), label))
      body.add(js`writer.bytes.set(${body.constant(written)}, ${indexOf(place)})`)
    },
  }
}

function tooLarge(label: string, at: number): FieldFault {
  return new FieldFault(`${label} is too large for an exact number,`, at)
}

function unscaled(value: unknown, factor: number, addend: number, divisor: number): number | undefined {
  if (!Number.isFinite(value)) return undefined
  // Adding 0 makes 0 of the negative zero, which is no whole number.
  return Math.round(((value as number) * divisor - addend) / factor) + 0
}

function nameOf(names: ReadonlyMap<unknown, string>, raw: unknown): unknown {
  return names.get(raw) ?? raw
}

function numberOf(numbers: ReadonlyMap<unknown, number>, value: unknown): number | undefined {
  return numbers.get(value) ?? (typeof value === 'number' ? value : undefined)
}

function wrong(label: string, value: unknown, expected: string, at: number): FieldFault {
  return new FieldFault(`${label} is ${show(value)} instead of ${expected}`, at)
}

function isAt(expected: Buffer, bytes: Buffer, at: number): boolean {
  for (let i = 0; i < expected.length; i++) if (bytes[at + i] !== expected[i]) return false
  return true
}

function mustBe(value: unknown, expected: number | string | Buffer, shown: string, label: string): void {
  if (value === undefined || value === null) return
  const isIt = Buffer.isBuffer(expected)
    ? value instanceof Uint8Array && Buffer.compare(value, expected) === 0
    : value === expected
  if (!isIt) throw notPrintable(label, value, shown)
}

/** A number as manuals write it: `0x7878`. */
function show(value: unknown): string {
  if (typeof value === 'number') return value > 9 && Number.isInteger(value) ? `0x${value.toString(16)}` : String(value)
  return Buffer.isBuffer(value) ? value.toString('hex') : JSON.stringify(value)
}

/** How many digits a number has behind its point: 2 for 0.25, 7 for 1e-7. */
function decimals(number: number): number {
  const [digits = '', exponent = '0'] = String(number).split('e')
  return Math.max(0, (digits.split('.')[1] ?? '').length - Number(exponent))
}
