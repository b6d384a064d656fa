import { type Code, js, objectLiteral, operation } from '../codegen/code.ts'
import { notPrintable, type Row } from './struct-bytes.ts'
import type { Fixed } from './struct-coding.ts'
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
  const named = namedOf(groups, number.size * 8)
  return {
    size: number.size,
    read(reading, place) {
      const whole = reading.body.keep(number.read(reading, place))
      return objectLiteral(
        named.map((group) => {
          const value = bitsOf(whole, group, number.size)
          return [group.name, group.meaning?.read(reading, value, place) ?? value]
        }),
      )
    },
    write(writing, place, value) {
      const { body } = writing
      const row = body.keep(body.call(objectOf, value, label))
      const parts = named.map(({ name, below, count, meaning }) => {
        const given = body.keep(body.call(ownOf, row, name))
        const raw = meaning?.write(writing, given) ?? body.call(plainOf, given)
        const takes = meaning?.takes ?? `a whole number from 0 to ${2 ** count - 1}`
        const checked = body.keep(body.call(checkedOf, raw, given, 2 ** count, takes, `${label}.${name}`))
        return js`(${checked} * ${2 ** below})`
      })
      number.write(writing, place, operation(js`+`, [js`0`, ...parts]))
    },
  }
}

interface NamedBits extends Bits {
  readonly name: string
  /** How many bits are lower than these. */
  readonly below: number
}

function namedOf(groups: readonly Bits[], size: number): NamedBits[] {
  let below = size
  return groups.flatMap((group) => {
    below -= group.count
    return group.name === undefined ? [] : [{ ...group, name: group.name, below }]
  })
}

/** Shifts are faster, and they and masks know 32 and 31 bits of a number. */
function bitsOf(whole: Code, { below, count }: NamedBits, size: number): Code {
  if (size <= 4 && count < 32) return js`(${whole} >>> ${below} & ${2 ** count - 1})`
  return js`(Math.floor(${whole} / ${2 ** below}) % ${2 ** count})`
}

function objectOf(value: unknown, label: string): object {
  if (typeof value === 'object' && value !== null) return value
  throw notPrintable(label, value, 'an object with its bits')
}

function ownOf(row: Row, name: string): unknown {
  return Object.hasOwn(row, name) ? row[name] : undefined
}

function plainOf(given: unknown): unknown {
  return typeof given === 'boolean' ? Number(given) : given
}

function checkedOf(raw: unknown, given: unknown, size: number, takes: string, label: string): number {
  if (Number.isInteger(raw) && (raw as number) >= 0 && (raw as number) < size) return raw as number
  throw notPrintable(label, given, takes)
}
