import { FieldFault, type Fixed, notPrintable } from './struct-bytes.ts'

/** What a number of a frame means, and back. */
export interface Meaning {
  /** @returns undefined when the number is too large for it */
  read(raw: number | string): unknown
  /** @returns undefined when the value means no number */
  write(value: unknown): number | string | undefined
  /** What can be written: "a number". */
  readonly takes: string
}

/**
 * `raw * scale + offset`, so that 235 with the scale 0.1 is 23.5. It is worked out in whole numbers and one division, so
 * 3 is 0.3 and not 0.30000000000000004. What is written is rounded to the nearest step.
 */
export function scaled(scale: number, offset: number): Meaning {
  const places = Math.max(decimals(scale), decimals(offset))
  const divisor = 10 ** places
  const factor = Math.round(scale * divisor)
  const addend = Math.round(offset * divisor)
  return {
    takes: 'a number',
    read: (raw) => (typeof raw === 'number' ? (raw * factor + addend) / divisor : undefined),
    write: (value) =>
      typeof value === 'number' && Number.isFinite(value)
        ? // Adding 0 makes 0 of the negative zero, which is no whole number.
          Math.round((value * divisor - addend) / factor) + 0
        : undefined,
  }
}

/** Names for numbers. A number that has none stays a number. */
export function named(names: Readonly<Record<string, string>>): Meaning {
  const byNumber = new Map(Object.entries(names).map(([number, name]) => [Number(number), name]))
  const byName = new Map(Object.entries(names).map(([number, name]) => [name, Number(number)]))
  return {
    takes: `a number or one of ${[...byName.keys()].join(', ')}`,
    read: (raw) => byNumber.get(raw as number) ?? raw,
    write: (value) => byName.get(value as string) ?? (typeof value === 'number' ? value : undefined),
  }
}

/** A number of a frame as what it means. */
export function withMeaning(number: Fixed, meaning: Meaning, label: string): Fixed {
  return {
    size: number.size,
    reader(offset) {
      const raw = number.reader(offset)
      return (view, at, bytes) => {
        const value = meaning.read(raw(view, at, bytes) as number | string)
        if (value === undefined) throw new FieldFault(`${label} is too large for an exact number,`, at + offset)
        return value
      }
    },
    write(writer, at, value) {
      const raw = meaning.write(value)
      if (raw === undefined) throw notPrintable(label, value, meaning.takes)
      number.write(writer, at, raw)
    },
  }
}

/** A field that has the same value in every frame; what is not given is written as it must be. */
export function constant(field: Fixed, expected: number | string | Buffer, label: string): Fixed {
  const isIt = (value: unknown) => (Buffer.isBuffer(expected) ? isEqual(value, expected) : value === expected)
  return {
    size: field.size,
    reader(offset) {
      const read = field.reader(offset)
      return (view, at, bytes) => {
        const value = read(view, at, bytes)
        if (!isIt(value)) throw new FieldFault(`${label} is ${show(value)} instead of ${show(expected)}`, at + offset)
        return value
      }
    },
    write(writer, at, value) {
      if (value !== undefined && value !== null && !isIt(value)) throw notPrintable(label, value, show(expected))
      field.write(writer, at, expected)
    },
  }
}

/** A number as manuals write it: `0x7878`. */
function show(value: unknown): string {
  if (typeof value === 'number') return value > 9 && Number.isInteger(value) ? `0x${value.toString(16)}` : String(value)
  return Buffer.isBuffer(value) ? value.toString('hex') : JSON.stringify(value)
}

function isEqual(value: unknown, expected: Buffer): boolean {
  return value instanceof Uint8Array && Buffer.compare(value, expected) === 0
}

/** How many digits a number has behind its point: 2 for 0.25, 7 for 1e-7. */
function decimals(number: number): number {
  const [digits = '', exponent = '0'] = String(number).split('e')
  return Math.max(0, (digits.split('.')[1] ?? '').length - Number(exponent))
}
