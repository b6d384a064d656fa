import { suggest } from '../util/suggest.ts'
import { type Call, type Compiler, type Evaluate, failed, missing, type Operand, type Place } from './evaluation.ts'
import { ExpressionError } from './expression-error.ts'
import { type FunctionDefinition, type Kind, type Param, ValueError } from './functions/define.ts'
import { meetMissing } from './operators.ts'
import { typeName } from './values.ts'

/**
 * Compiles the call of a function. The number of arguments, and those that are constant, are checked here; the others
 * whenever it is evaluated.
 */
export function compileCall(
  call: Call,
  definition: FunctionDefinition,
  compiler: Compiler,
  place: Place,
): { run: Evaluate; operands: readonly Operand[] } {
  const { params } = definition
  requireCount(call, params)
  const operands = call.args.map((node) => compiler.compile(node, place))
  const kinds = operands.map((_, i) => (params[i] ?? params.at(-1)!).kind)
  operands.forEach((operand, i) => {
    checkConstant(call, operand, kinds[i]!)
  })
  const secret = operands.some((operand) => operand.secret)
  const runs = operands.map((operand) => operand.run)
  const count = runs.length
  const invoke = definition.run

  const run: Evaluate = (message, locals) => {
    const values = new Array<unknown>(count)
    for (let i = 0; i < count; i++) {
      const value = runs[i]!(message, locals)
      const accepted = kinds[i]!.accept(value)
      if (accepted === undefined) {
        if (value === null && i === 0 && definition.predicate) return meetMissing(operands[0]!, place, compiler)
        throw refused(call, operands[i]!, kinds[i]!, value)
      }
      values[i] = accepted
    }
    try {
      return invoke(message.source.clock, values)
    } catch (error) {
      if (!(error instanceof ValueError)) throw error
      const reason = secret ? 'the value is not accepted' : error.message
      throw failed(`${signed(call, operands)}: ${reason}`, error.cure?.(operands[0]!.text))
    }
  }
  return { run, operands }
}

/** How the reference and errors write a function: `padStart(text, length, fill?)`. */
export function signature(name: string, params: readonly Param[]): string {
  const names = params.map((each) => `${each.name}${each.rest ? ', …' : each.optional ? '?' : ''}`)
  return `${name}(${names.join(', ')})`
}

function requireCount(call: Call, params: readonly Param[]): void {
  const least = params.filter((each) => !each.optional).length
  const most = params.at(-1)?.rest ? Number.POSITIVE_INFINITY : params.length
  const given = call.args.length
  if (given >= least && given <= most) return
  const count = given === 1 ? '1 argument' : `${given} arguments`
  throw new ExpressionError(`${call.name} was given ${count}`, call.node, `write ${signature(call.name, params)}`)
}

function checkConstant(call: Call, operand: Operand, kind: Kind<unknown>): void {
  if (operand.constant === undefined || kind.accept(operand.constant.value) !== undefined) return
  const error = refused(call, operand, kind, operand.constant.value)
  throw new ExpressionError(error.message, operand.node, error.hint)
}

function refused(call: Call, operand: Operand, kind: Kind<unknown>, value: unknown) {
  if (value === null) return missing(operand.text, `write default(${operand.text}, …) if it may be missing`)
  if (kind.choices !== undefined && typeof value === 'string') return unknownWord(operand, kind.choices, value)
  return failed(
    `${operand.text} is ${typeName(value)}, and ${call.name} takes ${kind.expected}`,
    cure(operand.text, kind, value),
  )
}

function unknownWord({ text, secret }: Operand, { noun, words }: NonNullable<Kind<unknown>['choices']>, word: string) {
  const near = secret ? undefined : suggest(word, words)
  return failed(
    `there is no ${noun} ${secret ? text : JSON.stringify(word)}; there are ${words.join(', ')}`,
    near && `did you mean ${near}?`,
  )
}

function cure(text: string, kind: Kind<unknown>, value: unknown): string | undefined {
  if (typeof value === 'string' && kind.expected.includes('number')) return `write num(${text})`
  if (typeof value === 'string' && kind.expected === 'a time') return `write parseTime(${text})`
  if (value instanceof Uint8Array && kind.expected === 'a text') return `write text(${text})`
  return undefined
}

function signed(call: Call, operands: readonly Operand[]): string {
  return `${call.name}(${operands.map((operand) => operand.text).join(', ')})`
}
