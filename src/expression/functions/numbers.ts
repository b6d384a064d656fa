import { typeName } from '../values.ts'
import { define, type FunctionDefinition, number, optional, param, present, rest, ValueError, whole } from './define.ts'

/** Functions of numbers. */
export const numberFunctions: Readonly<Record<string, FunctionDefinition>> = {
  num: define({
    params: [param('value', present)],
    summary: 'The number that a text shows, white space around it ignored; of a time, milliseconds since 1970.',
    example: 'num(" 12.50 ")',
    result: '12.5',
    run: toNumber,
  }),
  int: define({
    params: [param('value', present), optional('base', whole)],
    summary: 'The same without its decimals; with a base of 2 to 36, the number that the digits of a text mean.',
    example: 'int("1F", 16)',
    result: '31',
    run: (value, base) => whole0(Math.trunc(base === undefined ? toNumber(value) : digits(value, base))),
  }),
  round: define({
    params: [param('number', number), optional('decimals', whole)],
    summary: 'Rounded, halves away from zero; to whole numbers unless told otherwise.',
    example: 'round(21.456, 1)',
    result: '21.5',
    run: (value, decimals = 0) => round(value, decimals),
  }),
  fixed: define({
    params: [param('number', number), param('decimals', whole)],
    summary: 'Rounded, as a text with exactly so many decimals.',
    example: 'fixed(12.5, 3)',
    result: '"12.500"',
    run: (value, decimals) => round(value, decimals).toFixed(decimals),
  }),
  floor: define({
    params: [param('number', number)],
    summary: 'The next whole number below.',
    example: 'floor(-1.5)',
    result: '-2',
    run: (value) => whole0(Math.floor(value)),
  }),
  abs: define({
    params: [param('number', number)],
    summary: 'Without its sign.',
    example: 'abs(-3)',
    result: '3',
    run: (value) => Math.abs(value),
  }),
  min: define({
    params: [rest('number', present)],
    summary: 'The smallest number, of the arguments or of one list.',
    example: 'min(3, 1, 2)',
    result: '1',
    run: (...values) => numbersOf(values).reduce((a, b) => Math.min(a, b)),
  }),
  max: define({
    params: [rest('number', present)],
    summary: 'The largest number, of the arguments or of one list.',
    example: 'max([3, 1, 2])',
    result: '3',
    run: (...values) => numbersOf(values).reduce((a, b) => Math.max(a, b)),
  }),
  clamp: define({
    params: [param('number', number), param('low', number), param('high', number)],
    summary: 'Not below the low number and not above the high one.',
    example: 'clamp(130, 0, 100)',
    result: '100',
    run: (value, low, high) => Math.min(Math.max(value, low), high),
  }),
  bits: define({
    params: [param('number', whole), param('from', whole), optional('count', whole)],
    summary: 'The value of some bits, counted from the lowest, which is 0; one bit unless told otherwise.',
    example: 'bits(180, 4, 3)',
    result: '3',
    run(value, from, count = 1) {
      if (value < 0) throw new ValueError('bits of a negative number')
      if (from < 0 || count < 1 || from + count > 53) throw new ValueError('there are bits 0 to 52')
      return Math.floor(value / 2 ** from) % 2 ** count
    },
  }),
  bitAnd: define({
    params: [param('a', whole), param('b', whole)],
    summary: 'The bits that are set in both numbers.',
    example: 'bitAnd(12, 10)',
    result: '8',
    run: (a, b) => Number(BigInt(positive(a)) & BigInt(positive(b))),
  }),
  bitOr: define({
    params: [param('a', whole), param('b', whole)],
    summary: 'The bits that are set in at least one of the numbers.',
    example: 'bitOr(12, 10)',
    result: '14',
    run: (a, b) => Number(BigInt(positive(a)) | BigInt(positive(b))),
  }),
}

/** The numbers of the arguments, or of the one list among them; at least one. */
export function numbersOf(values: readonly unknown[]): number[] {
  const list = values.length === 1 && Array.isArray(values[0]) ? (values[0] as readonly unknown[]) : values
  if (list.length === 0) throw new ValueError('the list is empty')
  return list.map((value, index) => {
    if (typeof value !== 'number') throw new ValueError(`item ${index} is ${typeName(value)}, not a number`)
    return value
  })
}

const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i
const MOST_DECIMALS = 15

function toNumber(value: unknown): number {
  if (typeof value === 'number') return value
  if (typeof value === 'boolean') return value ? 1 : 0
  if (value instanceof Date) return value.getTime()
  if (typeof value !== 'string') throw new ValueError(`${typeName(value)} has no number`)
  const trimmed = value.trim()
  if (!DECIMAL.test(trimmed)) throw new ValueError(`${show(value)} is no number`)
  return whole0(Number(trimmed))
}

function digits(value: unknown, base: number): number {
  if (base < 2 || base > 36) throw new ValueError('the base must be 2 to 36')
  const trimmed = typeof value === 'string' ? value.trim() : String(value)
  const known = '0123456789abcdefghijklmnopqrstuvwxyz'.slice(0, base)
  if (trimmed === '' || ![...trimmed.toLowerCase()].every((digit) => known.includes(digit))) {
    throw new ValueError(`${show(trimmed)} is no number of base ${base}`)
  }
  const result = Number.parseInt(trimmed, base)
  if (!Number.isSafeInteger(result)) throw new ValueError(`${show(trimmed)} is too large for an exact number`)
  return result
}

/** Shifts the decimal point in the written number, since a multiplication would bring its own error: 1.005 becomes 1.01. */
function round(value: number, decimals: number): number {
  if (decimals < 0 || decimals > MOST_DECIMALS) throw new ValueError(`decimals must be 0 to ${MOST_DECIMALS}`)
  const shifted = shift(Math.abs(value), decimals)
  if (!Number.isFinite(shifted)) return value
  return whole0(Math.sign(value) * shift(Math.round(shifted), -decimals))
}

function shift(value: number, places: number): number {
  const [mantissa, exponent = '0'] = String(value).split('e')
  return Number(`${mantissa}e${Number(exponent) + places}`)
}

function positive(value: number): number {
  if (value < 0) throw new ValueError('bits of a negative number')
  return value
}

/** Zero has no sign for a user. */
function whole0(value: number): number {
  return value === 0 ? 0 : value
}

function show(value: string): string {
  return JSON.stringify(value.length > 24 ? `${value.slice(0, 24)}…` : value)
}
