import { toSluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import type { Expression, UserFunction } from '../contracts/schema.ts'
import type { Evaluate } from './evaluation.ts'
import { atLoad } from './expression-error.ts'
import { truth } from './operators.ts'
import { parse } from './parse.ts'
import { TreeCompiler } from './tree.ts'

export interface CompileOptions {
  /** What `env.NAME` stands for; an unknown name is a mistake. Its values are never shown in an error. */
  readonly env: Readonly<Record<string, string>>
  /** Called whenever a test in a condition meets a missing value and is therefore false. */
  readonly onMissing?: () => void
}

/**
 * Compiles an expression whose value is used.
 * @returns a function that throws SluiceError `expression_failed`
 * @throws ExpressionError
 */
export function compileExpression(source: string, options: CompileOptions): Expression {
  const node = parse(source)
  const compiler = new TreeCompiler(options.env, options.onMissing ?? ignore)
  const { run } = compiler.compile(node, { condition: false, names: new Map() })
  return bind(run, source, compiler.slots, node.op === 'id' && node.args === 'msg')
}

/**
 * Compiles an expression that decides. A test against a missing value is false in it, and so is a missing result.
 * @returns a function that throws SluiceError `expression_failed`, also when the result is neither true nor false
 * @throws ExpressionError
 */
export function compileCondition(source: string, options: CompileOptions): Expression<boolean> {
  const node = parse(source)
  const compiler = new TreeCompiler(options.env, options.onMissing ?? ignore)
  const operand = compiler.compile(node, { condition: true, names: new Map() })
  const { run } = operand
  const test = truth(operand)
  if (operand.constant !== undefined) atLoad(node, () => test(operand.constant!.value))
  return bind((message, locals) => test(run(message, locals)), source, compiler.slots, false)
}

/**
 * Makes an expression of a function of a TypeScript configuration or of the library.
 * @returns a function that throws what the function throws, as SluiceError `step_failed` where it has no code
 */
export function fromFunction<T>(fn: UserFunction<T>): Expression<T | undefined> {
  const run = (message: Message): T | undefined => {
    try {
      return fn(message.msg as never, message) as T | undefined
    } catch (error) {
      throw toSluiceError(error, 'step_failed')
    }
  }
  return Object.assign(run, { source: fn.name === '' ? 'function' : fn.name, isMessage: false, isFunction: true })
}

const NO_LOCALS = Object.freeze([]) as unknown as unknown[]

function bind<T>(
  run: (...args: Parameters<Evaluate>) => T,
  source: string,
  slots: number,
  isMessage: boolean,
): Expression<T> {
  const expression = (message: Message): T => {
    try {
      return run(message, slots === 0 ? NO_LOCALS : new Array<unknown>(slots).fill(null))
    } catch (error) {
      throw toSluiceError(error, 'expression_failed')
    }
  }
  return Object.assign(expression, { source, isMessage })
}

function ignore(): void {}
