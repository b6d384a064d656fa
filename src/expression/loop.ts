import type { ASTNode } from '@marcbachmann/cel-js'
import type { Message } from '../contracts/message.ts'
import { type Call, type Compiler, type Evaluate, failed, missing, type Operand, type Place } from './evaluation.ts'
import { ExpressionError } from './expression-error.ts'
import { meetMissing, truth } from './operators.ts'
import { isScopeVariable } from './scope.ts'
import { isMap, typeName } from './values.ts'

type Items = readonly unknown[]

/** The common part of `map`, `filter`, `all` and `exists`: a list, and a name that stands for each of its items. */
export class Loop {
  readonly #list: Operand
  readonly #slot: number
  readonly #place: Place
  readonly #inner: Place
  readonly #compiler: Compiler
  readonly #operands: Operand[]

  constructor(call: Call, compiler: Compiler, place: Place) {
    const [list, name] = [call.args[0]!, call.args[1]!]
    if (name.op !== 'id') {
      throw new ExpressionError(`the first argument of ${call.name} must be a name`, name, `write ${call.name}(x, …)`)
    }
    if (isScopeVariable(name.args)) {
      throw new ExpressionError(`${name.args} has a meaning already`, name, `write ${call.name}(x, …)`)
    }
    this.#list = compiler.compile(list, place)
    this.#slot = compiler.slot()
    this.#place = place
    this.#inner = { condition: place.condition, names: new Map(place.names).set(name.args, this.#slot) }
    this.#compiler = compiler
    this.#operands = [this.#list]
  }

  /** Compiles what is evaluated for an item. */
  value(node: ASTNode): (item: unknown, message: Message, locals: unknown[]) => unknown {
    return this.#each(this.#compiler.compile(node, this.#inner))
  }

  /** Compiles what decides on an item. It is a condition, wherever the loop itself stands. */
  condition(node: ASTNode): (item: unknown, message: Message, locals: unknown[]) => boolean {
    const operand = this.#compiler.compile(node, { ...this.#inner, condition: true })
    const value = this.#each(operand)
    const test = truth(operand)
    return (item, message, locals) => test(value(item, message, locals))
  }

  /**
   * @param run gives the result for the items
   * @param decides a test: it is false for a missing list in a condition
   */
  build(
    run: (items: Items, message: Message, locals: unknown[]) => unknown,
    decides = false,
  ): { run: Evaluate; operands: readonly Operand[] } {
    const list = this.#list
    return {
      operands: this.#operands,
      run: (message, locals) => {
        const value = list.run(message, locals)
        if (Array.isArray(value)) return run(value, message, locals)
        if (isMap(value)) return run(Object.keys(value), message, locals)
        if (value !== null) throw failed(`${list.text} is ${typeName(value)}, where a list is needed`)
        if (decides) return meetMissing(list, this.#place, this.#compiler)
        throw missing(list.text, `write default(${list.text}, []) if it may be missing`)
      },
    }
  }

  #each(operand: Operand): (item: unknown, message: Message, locals: unknown[]) => unknown {
    this.#operands.push(operand)
    const { run } = operand
    const slot = this.#slot
    return (item, message, locals) => {
      locals[slot] = item ?? null
      return run(message, locals)
    }
  }
}
