import { type Fixed, notPrintable, type Row } from './struct-bytes.ts'
import type { Meaning } from './struct-values.ts'

/** Some bits of a number. */
export interface Bits {
  /** Absent for bits that mean nothing: they are passed over and written as 0. */
  readonly name: string | undefined
  readonly count: number
  readonly meaning: Meaning | undefined
}

/**
 * An unsigned number that is made of groups of bits; the value is an object with the number in each.
 * @param number at most 48 bits, so that it is exact
 * @param groups from the highest bit to the lowest
 */
export function bits(number: Fixed, groups: readonly Bits[], label: string): Fixed {
  const named: { name: string; divisor: number; size: number; meaning: Meaning | undefined }[] = []
  let below = number.size * 8
  for (const { name, count, meaning } of groups) {
    below -= count
    if (name !== undefined) named.push({ name, divisor: 2 ** below, size: 2 ** count, meaning })
  }
  const template = JSON.parse(JSON.stringify(Object.fromEntries(named.map(({ name }) => [name, 0])))) as Row
  return {
    size: number.size,
    reader(offset) {
      const read = number.reader(offset)
      return (view, at, bytes) => {
        const whole = read(view, at, bytes) as number
        const row = { ...template }
        for (const { name, divisor, size, meaning } of named) {
          const value = Math.floor(whole / divisor) % size
          row[name] = meaning === undefined ? value : meaning.read(value)
        }
        return row
      }
    },
    write(writer, at, value) {
      if (typeof value !== 'object' || value === null) throw notPrintable(label, value, 'an object with its bits')
      let whole = 0
      for (const { name, divisor, size, meaning } of named) {
        const given: unknown = Object.hasOwn(value, name) ? (value as Row)[name] : undefined
        const raw = meaning === undefined ? (typeof given === 'boolean' ? Number(given) : given) : meaning.write(given)
        if (typeof raw !== 'number' || !Number.isInteger(raw) || raw < 0 || raw >= size) {
          throw notPrintable(`${label}.${name}`, given, meaning?.takes ?? `a whole number from 0 to ${size - 1}`)
        }
        whole += raw * divisor
      }
      number.write(writer, at, whole)
    },
  }
}
