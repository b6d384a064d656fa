import { type ASTNode, serialize } from '@marcbachmann/cel-js'
import { SluiceError } from '../contracts/errors.ts'
import { suggest } from '../util/suggest.ts'
import { compileCall } from './calls.ts'
import type { Call, Compiler, Evaluate, Operand, Place } from './evaluation.ts'
import { atLoad, ExpressionError } from './expression-error.ts'
import { forms } from './forms.ts'
import { findFunction, functionGroups } from './functions/all.ts'
import { arithmetic, equality, membership, negative, ordering, truth } from './operators.ts'
import { isScopeVariable, type ScopeValue, scopeKey, scopeVariable, unknownName } from './scope.ts'
import { readIndex, readKey, typeName, writeKey } from './values.ts'

/** Walks the syntax tree of one expression and makes a closure of each node. */
export class TreeCompiler implements Compiler {
  readonly env: Readonly<Record<string, string>>
  readonly onMissing: () => void
  /** How many names are bound in the expression; each has its own slot in the locals of a run. */
  slots = 0

  constructor(env: Readonly<Record<string, string>>, onMissing: () => void) {
    this.env = env
    this.onMissing = onMissing
  }

  slot(): number {
    return this.slots++
  }

  compile(node: ASTNode, place: Place): Operand {
    switch (node.op) {
      case 'value':
        return constant(node, literal(node, node.args))
      case 'id':
        return this.#name(node, node.args, place)
      case '.':
        return this.#key(node, node.args[0], node.args[1], place)
      case '[]':
        return this.#index(node, node.args, place)
      case '+':
      case '-':
      case '*':
      case '/':
      case '%': {
        const { op } = node
        return this.#binary(node, node.args, place, (left, right) => arithmetic(op, left, right))
      }
      case '<':
      case '<=':
      case '>':
      case '>=': {
        const { op } = node
        return this.#binary(node, node.args, place, (left, right) => ordering(op, left, right, place, this))
      }
      case '==':
      case '!=': {
        const negated = node.op === '!='
        return this.#binary(node, node.args, place, (left, right) => equality(left, right, negated))
      }
      case 'in':
        return this.#binary(node, node.args, place, (left, right) => membership(left, right, place, this))
      case '&&':
      case '||':
        return this.#logic(node, node.args, place, node.op === '&&')
      case '!_': {
        const operand = this.compile(node.args, place)
        const test = truth(operand)
        return folded(node, [operand], (message, locals) => !test(operand.run(message, locals)))
      }
      case '-_': {
        const operand = this.compile(node.args, place)
        return folded(node, [operand], negative(operand))
      }
      case '?:':
        return this.#choice(node, node.args, place)
      case 'list':
        return this.#list(node, node.args, place)
      case 'map':
        return this.#map(node, node.args, place)
      case 'call':
        return this.#call({ node, name: node.args[0], args: node.args[1] }, node.start, place)
      case 'rcall': {
        const [name, receiver, args] = node.args
        const start = node.input.indexOf(name, receiver.end)
        return this.#call({ node, name, args: [receiver, ...args] }, start, place)
      }
      default:
        throw new ExpressionError(`${node.op} is not supported`, node)
    }
  }

  #name(node: ASTNode, name: string, place: Place): Operand {
    const slot = place.names.get(name)
    if (slot !== undefined) return operand(node, (_, locals) => locals[slot])
    if (!isScopeVariable(name)) throw unknownName(node, name, place)
    return fromScope(node, scopeVariable(node, name))
  }

  #key(node: ASTNode, base: ASTNode, key: string, place: Place): Operand {
    if (base.op === 'id' && !place.names.has(base.args) && isScopeVariable(base.args)) {
      const found = scopeKey(node, base.args, key, this)
      if (found !== undefined) return fromScope(node, found)
    }
    const from = this.compile(base, place)
    const { run } = from
    return folded(node, [from], (message, locals) => readKey(run(message, locals), key))
  }

  #index(node: ASTNode, [base, index]: readonly [ASTNode, ASTNode], place: Place): Operand {
    if (index.op === 'value' && typeof index.args === 'string') return this.#key(node, base, index.args, place)
    return this.#binary(node, [base, index], place, (from, at) => {
      const value = from.run
      const place = at.run
      return (message, locals) => readIndex(value(message, locals), place(message, locals))
    })
  }

  #binary(
    node: ASTNode,
    [a, b]: readonly [ASTNode, ASTNode],
    place: Place,
    make: (left: Operand, right: Operand) => Evaluate,
  ): Operand {
    const left = this.compile(a, place)
    const right = this.compile(b, place)
    return folded(node, [left, right], make(left, right))
  }

  #logic(node: ASTNode, [a, b]: readonly [ASTNode, ASTNode], place: Place, and: boolean): Operand {
    return this.#binary(node, [a, b], place, (left, right) => {
      const [l, r] = [left.run, right.run]
      const [testLeft, testRight] = [truth(left), truth(right)]
      return and
        ? (message, locals) => testLeft(l(message, locals)) && testRight(r(message, locals))
        : (message, locals) => testLeft(l(message, locals)) || testRight(r(message, locals))
    })
  }

  #choice(node: ASTNode, nodes: readonly [ASTNode, ASTNode, ASTNode], place: Place): Operand {
    const [decision, yes, no] = nodes.map((each) => this.compile(each, place)) as [Operand, Operand, Operand]
    const test = truth(decision)
    return operand(
      node,
      (message, locals) => (test(decision.run(message, locals)) ? yes.run(message, locals) : no.run(message, locals)),
      [decision, yes, no],
    )
  }

  #list(node: ASTNode, nodes: readonly ASTNode[], place: Place): Operand {
    const items = nodes.map((each) => this.compile(each, place))
    const runs = items.map((item) => item.run)
    return folded(node, items, (message, locals) => runs.map((run) => run(message, locals)))
  }

  #map(node: ASTNode, entries: readonly (readonly [ASTNode, ASTNode])[], place: Place): Operand {
    const keys = entries.map(([key]) => this.#mapKey(key, place))
    const values = entries.map(([, value]) => this.compile(value, place))
    const runs = values.map((value) => value.run)
    const fixed = keys.map((key) => key.constant && atLoad(key.node, () => keyOf(key.constant!.value, key.node)))
    keys.forEach((key, i) => {
      if (fixed[i] !== undefined && fixed.indexOf(fixed[i]) < i) {
        throw new ExpressionError(`the key ${fixed[i]} stands twice in this map`, key.node)
      }
    })
    return folded(node, [...keys, ...values], (message, locals) => {
      const result: Record<string, unknown> = {}
      for (let i = 0; i < runs.length; i++) {
        const key = fixed[i] ?? keyOf(keys[i]!.run(message, locals), keys[i]!.node)
        writeKey(result, key, runs[i]!(message, locals))
      }
      return result
    })
  }

  /** A bare name in front of a colon is the key itself, as in JSON's relatives, and never a variable. */
  #mapKey(node: ASTNode, place: Place): Operand {
    return node.op === 'id' ? constant(node, node.args) : this.compile(node, place)
  }

  #call(call: Call, start: number, place: Place): Operand {
    const form = Object.hasOwn(forms, call.name) ? forms[call.name] : undefined
    if (form !== undefined) {
      const [least, most] = form.count
      if (call.args.length < least || call.args.length > most) {
        throw new ExpressionError(`${call.name} is used wrongly`, call.node, `write ${form.signature}`)
      }
      const { run, operands } = form.compile(call, this, place)
      return operand(call.node, run, operands)
    }
    const definition = findFunction(call.name)
    if (definition === undefined) throw unknownFunction(call.name, start)
    const { run, operands } = compileCall(call, definition, this, place)
    return operand(call.node, run, operands)
  }
}

/** What other languages call our functions. */
const FOREIGN_FUNCTIONS: Readonly<Record<string, string>> = {
  string: 'write text(…)',
  str: 'write text(…)',
  toString: 'write text(…)',
  double: 'write num(…)',
  float: 'write num(…)',
  number: 'write num(…)',
  parseInt: 'write int(…)',
  parseFloat: 'write num(…)',
  uint: 'write int(…)',
  timestamp: 'write parseTime(…)',
  date: 'write parseTime(…)',
  duration: 'a duration is a number of milliseconds',
  len: 'write size(…)',
  count: 'write size(…)',
  toUpperCase: 'write upper(…)',
  toLowerCase: 'write lower(…)',
  upperAscii: 'write upper(…)',
  lowerAscii: 'write lower(…)',
  substring: 'write slice(text, from, to) or mid(text, start, count)',
  substr: 'write mid(text, start, count)',
  includes: 'write contains(…)',
  indexOf: 'write contains(…), before(…) or after(…)',
  toFixed: 'write fixed(number, decimals)',
  ceil: 'write -floor(-number)',
  coalesce: 'write default(a, b) or either(a, b, c)',
  if: 'write condition ? a : b',
  not: 'write !',
  and: 'write &&',
  or: 'write ||',
  concat: 'write a + b',
  format: 'write fixed(number, decimals), padStart(text, length) or formatTime(time, format)',
  any: 'write list.exists(x, …)',
  some: 'write list.exists(x, …)',
  every: 'write list.all(x, …)',
}

function unknownFunction(name: string, start: number): ExpressionError {
  const known = [...Object.keys(forms), ...Object.values(functionGroups).flatMap((group) => Object.keys(group))]
  const near = suggest(name, known)
  const foreign = Object.hasOwn(FOREIGN_FUNCTIONS, name) ? FOREIGN_FUNCTIONS[name] : undefined
  const hint = foreign ?? (near === undefined ? undefined : `did you mean ${near}?`)
  return new ExpressionError(`there is no function ${name}`, { start, end: start + name.length }, hint)
}

const LONGEST_TEXT = 60

function operand(node: ASTNode, run: Evaluate, parts: readonly Operand[] = [], value?: Operand['constant']): Operand {
  const written = node.op === 'value' ? node.input.slice(node.start, node.end) : serialize(node)
  const text = written.length > LONGEST_TEXT ? `${written.slice(0, LONGEST_TEXT)}…` : written
  return { run, node, text, constant: value, secret: parts.some((part) => part.secret) }
}

function constant(node: ASTNode, value: unknown): Operand {
  return operand(node, () => value, [], { value })
}

function fromScope(node: ASTNode, { run, constant: value }: ScopeValue): Operand {
  return { ...operand(node, run, [], value), secret: value !== undefined }
}

/** An operation on constants is done once, here; its failure is a mistake in the expression. */
function folded(node: ASTNode, parts: readonly Operand[], run: Evaluate): Operand {
  if (!parts.every((part) => part.constant !== undefined)) return operand(node, run, parts)
  // Nothing in it looks at the message or at a bound name.
  const value = atLoad(node, () => run(undefined as never, []))
  if (Array.isArray(value) || node.op === 'map') Object.freeze(value)
  return operand(node, () => value, parts, { value })
}

function literal(node: ASTNode, value: unknown): unknown {
  if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number' || value === null)
    return value
  if (value instanceof Uint8Array) {
    if (/[^\0-\xff]/.test(node.input.slice(node.start, node.end))) {
      throw new ExpressionError('a character in these bytes is no single byte', node, 'write bytes("…") for UTF-8')
    }
    return Buffer.from(value)
  }
  const number = Number(value)
  if (!Number.isSafeInteger(number)) {
    throw new ExpressionError('this number is too large to be exact', node, 'write it as a text')
  }
  return number
}

function keyOf(value: unknown, node: ASTNode): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  throw new SluiceError('expression_failed', `a key of a map is ${typeName(value)}: ${serialize(node)}`)
}
