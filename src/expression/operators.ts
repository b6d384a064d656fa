import { contentText } from '../contracts/codec.ts'
import { type Compiler, type Evaluate, failed, missing, type Operand, type Place } from './evaluation.ts'
import { equals, isMap, typeName } from './values.ts'

export type Arithmetic = '+' | '-' | '*' | '/' | '%'
export type Ordering = '<' | '<=' | '>' | '>='

/**
 * Each operator becomes a closure that tries the common case, two numbers, and leaves the rest to a slow path which also
 * makes the errors.
 */
export function arithmetic(op: Arithmetic, left: Operand, right: Operand): Evaluate {
  const l = left.run
  const r = right.run
  const slow = (a: unknown, b: unknown) => (op === '+' ? plus(a, b, left, right) : calculate(op, a, b, left, right))
  switch (op) {
    case '+':
      return (message, locals) => {
        const a = l(message, locals)
        const b = r(message, locals)
        if (typeof a === 'number' && typeof b === 'number') return a + b
        return typeof a === 'string' && typeof b === 'string' ? a + b : slow(a, b)
      }
    case '-':
      return (message, locals) => {
        const a = l(message, locals)
        const b = r(message, locals)
        return typeof a === 'number' && typeof b === 'number' ? a - b : slow(a, b)
      }
    case '*':
      return (message, locals) => {
        const a = l(message, locals)
        const b = r(message, locals)
        return typeof a === 'number' && typeof b === 'number' ? a * b : slow(a, b)
      }
    case '/':
      return (message, locals) => {
        const a = l(message, locals)
        const b = r(message, locals)
        return typeof a === 'number' && typeof b === 'number' && b !== 0 ? a / b : slow(a, b)
      }
    case '%':
      return (message, locals) => {
        const a = l(message, locals)
        const b = r(message, locals)
        return typeof a === 'number' && typeof b === 'number' && b !== 0 ? a % b : slow(a, b)
      }
  }
}

export function ordering(op: Ordering, left: Operand, right: Operand, place: Place, compiler: Compiler): Evaluate {
  const l = left.run
  const r = right.run
  const slow = (a: unknown, b: unknown) => {
    if (a === null || b === null) return meetMissing(a === null ? left : right, place, compiler)
    const order = compare(op, a, b, left, right)
    if (op === '<') return order < 0
    if (op === '<=') return order <= 0
    return op === '>' ? order > 0 : order >= 0
  }
  switch (op) {
    case '<':
      return (message, locals) => {
        const a = l(message, locals)
        const b = r(message, locals)
        return typeof a === 'number' && typeof b === 'number' ? a < b : slow(a, b)
      }
    case '<=':
      return (message, locals) => {
        const a = l(message, locals)
        const b = r(message, locals)
        return typeof a === 'number' && typeof b === 'number' ? a <= b : slow(a, b)
      }
    case '>':
      return (message, locals) => {
        const a = l(message, locals)
        const b = r(message, locals)
        return typeof a === 'number' && typeof b === 'number' ? a > b : slow(a, b)
      }
    case '>=':
      return (message, locals) => {
        const a = l(message, locals)
        const b = r(message, locals)
        return typeof a === 'number' && typeof b === 'number' ? a >= b : slow(a, b)
      }
  }
}

/** `==`, or `!=` when negated. */
export function equality(left: Operand, right: Operand, negated: boolean): Evaluate {
  const l = left.run
  const r = right.run
  const constant = right.constant?.value
  if (right.constant !== undefined && (typeof constant !== 'object' || constant === null)) {
    return negated
      ? (message, locals) => l(message, locals) !== constant
      : (message, locals) => l(message, locals) === constant
  }
  return negated
    ? (message, locals) => !equals(l(message, locals), r(message, locals))
    : (message, locals) => equals(l(message, locals), r(message, locals))
}

/** `value in list` and `key in map`. */
export function membership(left: Operand, right: Operand, place: Place, compiler: Compiler): Evaluate {
  const l = left.run
  const r = right.run
  return (message, locals) => {
    const item = l(message, locals)
    const group = r(message, locals)
    if (Array.isArray(group)) return group.some((each) => equals(each, item))
    if (isMap(group)) return item !== null && typeof item !== 'object' && Object.hasOwn(group, String(item))
    if (group === null) return meetMissing(right, place, compiler)
    const hint = typeof group === 'string' ? `write contains(${right.text}, ${left.text})` : undefined
    throw failed(`${right.text} is ${typeName(group)}, and in takes a list or a map`, hint)
  }
}

export function negative(operand: Operand): Evaluate {
  const { run, text } = operand
  return (message, locals) => {
    const value = run(message, locals)
    if (typeof value === 'number') return -value
    throw value === null
      ? missing(text, fallback(text, '0'))
      : failed(`${text} is ${typeName(value)}, and - takes a number`)
  }
}

/** What decides: `&&`, `||`, `!`, `? :` and the result of a condition. A missing value counts as false. */
export function truth(operand: Operand): (value: unknown) => boolean {
  return (value) => {
    if (value === true) return true
    if (value === false || value === null) return false
    throw failed(`${operand.text} is ${typeName(value)}, where true or false is needed`, 'write a comparison')
  }
}

/** A test that met a missing value: false in a condition, where it is counted; an error elsewhere. */
export function meetMissing(operand: Operand, place: Place, compiler: Compiler): false {
  if (!place.condition) throw missing(operand.text, `write has(${operand.text}) first, or default(${operand.text}, …)`)
  compiler.onMissing()
  return false
}

function plus(a: unknown, b: unknown, left: Operand, right: Operand): unknown {
  if (typeof a === 'string' || typeof b === 'string') {
    requirePresent(a, b, left, right, '""')
    return joined(a, left) + joined(b, right)
  }
  if (Array.isArray(a) && Array.isArray(b)) return [...a, ...b]
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.concat([a, b])
  if (a instanceof Date && typeof b === 'number') return later(a, b)
  if (b instanceof Date && typeof a === 'number') return later(b, a)
  return calculate('+', a, b, left, right)
}

function joined(value: unknown, operand: Operand): string {
  if (typeof value === 'object' && !(value instanceof Date)) {
    const cure = value instanceof Uint8Array ? 'text' : 'json'
    throw failed(
      `${operand.text} is ${typeName(value)}, which does not join with a text`,
      `write ${cure}(${operand.text})`,
    )
  }
  return contentText(value) as string
}

function calculate(op: Arithmetic, a: unknown, b: unknown, left: Operand, right: Operand): unknown {
  requirePresent(a, b, left, right, '0')
  if (op === '-' && a instanceof Date) {
    if (b instanceof Date) return a.getTime() - b.getTime()
    if (typeof b === 'number') return later(a, -b)
  }
  if (b === 0 && typeof a === 'number') throw failed(`division by zero in ${left.text} ${op} ${right.text}`)
  const [wrong, operand] = typeof a === 'number' ? [b, right] : [a, left]
  throw failed(
    `${operand.text} is ${typeName(wrong)}, and ${op} takes numbers`,
    typeof wrong === 'string' ? `write num(${operand.text})` : undefined,
  )
}

/** Negative, zero or positive, as the left value is before, at or behind the right one. */
function compare(op: Ordering, a: unknown, b: unknown, left: Operand, right: Operand): number {
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0
  if (a instanceof Date && b instanceof Date) return a.getTime() - b.getTime()
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b)
  const text = typeof a === 'string' ? left : typeof b === 'string' ? right : undefined
  const mixed = text !== undefined && (typeof a === 'number' || typeof b === 'number')
  throw failed(
    `${left.text} is ${typeName(a)} and ${right.text} is ${typeName(b)}: ${op} cannot compare them`,
    mixed ? `write num(${text.text})` : undefined,
  )
}

function requirePresent(a: unknown, b: unknown, left: Operand, right: Operand, empty: string): void {
  if (a === null) throw missing(left.text, fallback(left.text, empty))
  if (b === null) throw missing(right.text, fallback(right.text, empty))
}

function fallback(text: string, empty: string): string {
  return `write default(${text}, ${empty}) if it may be missing`
}

function later(time: Date, milliseconds: number): Date {
  return new Date(time.getTime() + milliseconds)
}
