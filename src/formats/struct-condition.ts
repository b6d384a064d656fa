import { type Code, js, operation } from '../codegen/code.ts'
import { suggest } from '../util/suggest.ts'
import type { Writing } from './struct-coding.ts'
import type { Scope } from './struct-scope.ts'

/** Whether a field is there, by the fields before it: an expression that is true or false. */
export type Condition = (where: Writing) => Code

/** A condition cannot be understood. */
export class ConditionError extends Error {
  override readonly name = 'ConditionError'
}

/**
 * Compiles a condition: comparisons of a field with a number or a text (`kind == 2`, `state != "off"`), a field alone,
 * which is true unless it is 0, and bits of a field (`status & 0x80`); joined with `&&` and `||`, of which `&&` binds
 * tighter. It is not the language of dataflows, since it is asked while the message does not exist yet.
 * @throws ConditionError
 */
export function compileCondition(source: string, scope: Scope): Condition {
  const tokens = tokensOf(source)
  const alternatives: Condition[][] = [[]]
  for (;;) {
    alternatives.at(-1)!.push(comparison(tokens, scope))
    const joint = tokens.shift()
    if (joint === undefined) break
    if (joint === '||') alternatives.push([])
    else if (joint !== '&&') throw new ConditionError(`there is ${joint} where && or || is needed`)
  }
  const allOf = (conditions: readonly Condition[], where: Writing) =>
    operation(
      js`&&`,
      conditions.map((condition) => condition(where)),
    )
  return (where) =>
    operation(
      js`||`,
      alternatives.map((conditions) => allOf(conditions, where)),
    )
}

const TOKEN = /\s*(\|\||&&|==|!=|<=|>=|[<>&]|0x[\da-f]+|-?\d+(?:\.\d+)?|"[^"]*"|'[^']*'|[a-z_]\w*(?:\.[a-z_]\w*)*)/iy

function tokensOf(source: string): string[] {
  const tokens: string[] = []
  for (let at = 0; at < source.trimEnd().length; ) {
    TOKEN.lastIndex = at
    const token = TOKEN.exec(source)
    if (token === null) throw new ConditionError(`${source.slice(at).trim()} is no part of a condition`)
    tokens.push(token[1]!)
    at = TOKEN.lastIndex
  }
  return tokens
}

/** Comparisons; those by size are false for a text and a number. */
const COMPARISONS: Readonly<Record<string, (a: Code, b: number | string) => Code>> = {
  '==': (a, b) => js`(${a} === ${b})`,
  '!=': (a, b) => js`(${a} !== ${b})`,
  '<': (a, b) => js`(typeof ${a} === ${typeof b} && ${a} < ${b})`,
  '<=': (a, b) => js`(typeof ${a} === ${typeof b} && ${a} <= ${b})`,
  '>': (a, b) => js`(typeof ${a} === ${typeof b} && ${a} > ${b})`,
  '>=': (a, b) => js`(typeof ${a} === ${typeof b} && ${a} >= ${b})`,
}

function comparison(tokens: string[], scope: Scope): Condition {
  const value = operand(tokens, scope)
  const compare = Object.hasOwn(COMPARISONS, tokens[0] ?? '') ? COMPARISONS[tokens.shift()!] : undefined
  if (compare === undefined) return (where) => where.body.call(isTrue, value(where))
  const constant = literal(tokens.shift())
  return (where) => compare(value(where), constant)
}

/** A field, or some bits of it. */
function operand(tokens: string[], scope: Scope): (where: Writing) => Code {
  const path = tokens.shift()
  if (path === undefined) throw new ConditionError('the condition ends too early')
  if (!/^[a-z_]/i.test(path)) throw new ConditionError(`there is ${path} where the name of a field is needed`)
  const found = scope.find(path)
  if (found === undefined) {
    const near = suggest(path, scope.names)
    throw new ConditionError(
      `no field ${path} stands before this one${near === undefined ? '' : `; did you mean ${near}?`}`,
    )
  }
  if (tokens[0] !== '&') return ({ values }) => values.of(found)
  tokens.shift()
  const mask = literal(tokens.shift())
  if (typeof mask !== 'number' || !Number.isSafeInteger(mask) || mask < 0) {
    throw new ConditionError('& needs a whole number behind it, such as 0x80')
  }
  return ({ body, values }) => body.call(maskedOf, values.of(found), mask)
}

function literal(token: string | undefined): number | string {
  if (token === undefined) throw new ConditionError('the condition ends too early')
  if (/^["']/.test(token)) return token.slice(1, -1)
  const number = Number(token)
  if (Number.isNaN(number)) throw new ConditionError(`there is ${token} where a number or a text in quotes is needed`)
  return number
}

function maskedOf(value: unknown, mask: number): number {
  return Number.isSafeInteger(value) ? Number(BigInt(value as number) & BigInt(mask)) : 0
}

function isTrue(value: unknown): boolean {
  return value !== null && value !== undefined && value !== 0 && value !== '' && value !== false
}
