import { RE2JS, RE2JSException } from 're2js'
import { SluiceError } from '../contracts/errors.ts'
import { type Call, type Compiler, type Evaluate, failed, type Operand, type Place } from './evaluation.ts'
import { ExpressionError } from './expression-error.ts'
import { Loop } from './loop.ts'
import { meetMissing } from './operators.ts'
import { hasIndex, typeName } from './values.ts'

/**
 * A call that is no function of its values: it evaluates an argument only at need, more than once, or looks at how the
 * argument is written.
 */
export interface Form {
  readonly group: 'data' | 'lists' | 'text'
  readonly signature: string
  /** One sentence. */
  readonly summary: string
  /** An expression, and its result as an expression. Both are run by the tests. */
  readonly example: string
  readonly result: string
  /** Least and most arguments. */
  readonly count: readonly [number, number]
  compile(call: Call, compiler: Compiler, place: Place): { run: Evaluate; operands: readonly Operand[] }
}

/** The calls with a meaning of their own, by name. */
export const forms: Readonly<Record<string, Form>> = {
  has: {
    group: 'data',
    signature: 'has(value.key)',
    summary: 'True when the key is there, even if it is null.',
    example: 'has({"a": null}.a)',
    result: 'true',
    count: [1, 1],
    compile: compileHas,
  },
  default: {
    group: 'data',
    signature: 'default(value, fallback)',
    summary: 'The value, or the fallback when it is missing or null.',
    example: 'default(null, "none")',
    result: '"none"',
    count: [2, 2],
    compile(call, compiler, place) {
      const operands = call.args.map((node) => compiler.compile(node, place))
      const [value, fallback] = [operands[0]!.run, operands[1]!.run]
      return { operands, run: (message, locals) => value(message, locals) ?? fallback(message, locals) }
    },
  },
  either: {
    group: 'data',
    signature: 'either(value, …)',
    summary: 'The first value that is not missing and can be evaluated; null when there is none.',
    example: 'either(num("n/a"), 0)',
    result: '0',
    count: [2, 32],
    compile: compileEither,
  },
  matches: {
    group: 'text',
    signature: 'matches(text, pattern)',
    summary: 'True when the pattern (RE2 syntax, run in linear time) is found in the text. The pattern is constant.',
    example: 'matches("ST,12.5kg", r"\\d+\\.\\d")',
    result: 'true',
    count: [2, 2],
    compile: compileMatches,
  },
  map: {
    group: 'lists',
    signature: 'list.map(name, value)',
    summary: 'A list of the value for each item, or for each key of a map.',
    example: '[1, 2].map(n, n * 10)',
    result: '[10, 20]',
    count: [3, 4],
    compile: compileMap,
  },
  filter: {
    group: 'lists',
    signature: 'list.filter(name, condition)',
    summary: 'A list of the items for which the condition is true.',
    example: '[1, 2, 3].filter(n, n > 1)',
    result: '[2, 3]',
    count: [3, 3],
    compile(call, compiler, place) {
      const loop = new Loop(call, compiler, place)
      const test = loop.condition(call.args[2]!)
      return loop.build((items, message, locals) => items.filter((item) => test(item, message, locals)))
    },
  },
  all: {
    group: 'lists',
    signature: 'list.all(name, condition)',
    summary: 'True when the condition is true for every item.',
    example: '[1, 2].all(n, n > 0)',
    result: 'true',
    count: [3, 3],
    compile(call, compiler, place) {
      const loop = new Loop(call, compiler, place)
      const test = loop.condition(call.args[2]!)
      return loop.build((items, message, locals) => items.every((item) => test(item, message, locals)), true)
    },
  },
  exists: {
    group: 'lists',
    signature: 'list.exists(name, condition)',
    summary: 'True when the condition is true for at least one item.',
    example: '[1, 2].exists(n, n > 1)',
    result: 'true',
    count: [3, 3],
    compile(call, compiler, place) {
      const loop = new Loop(call, compiler, place)
      const test = loop.condition(call.args[2]!)
      return loop.build((items, message, locals) => items.some((item) => test(item, message, locals)), true)
    },
  },
  exists_one: {
    group: 'lists',
    signature: 'list.exists_one(name, condition)',
    summary: 'True when the condition is true for exactly one item.',
    example: '[1, 2].exists_one(n, n > 0)',
    result: 'false',
    count: [3, 3],
    compile(call, compiler, place) {
      const loop = new Loop(call, compiler, place)
      const test = loop.condition(call.args[2]!)
      return loop.build(
        (items, message, locals) => items.filter((item) => test(item, message, locals)).length === 1,
        true,
      )
    },
  },
}

function compileHas(call: Call, compiler: Compiler, place: Place): { run: Evaluate; operands: readonly Operand[] } {
  const node = call.args[0]!
  if (node.op !== '.' && node.op !== '[]') {
    throw new ExpressionError('has asks for a key', node, 'write has(msg.key)')
  }
  const base = node.args[0]
  if (base.op === 'id' && base.args === 'env' && node.op === '.' && !place.names.has('env')) {
    const found = Object.hasOwn(compiler.env, node.args[1])
    return { operands: [], run: () => found }
  }
  if (base.op === 'id' && (base.args === 'client' || base.args === 'error') && !place.names.has(base.args)) {
    const whole = compiler.compile(node, place)
    return { operands: [whole], run: (message, locals) => whole.run(message, locals) !== null }
  }
  const value = compiler.compile(base, place)
  if (node.op === '.') {
    const key = node.args[1]
    return { operands: [value], run: (message, locals) => hasIndex(value.run(message, locals), key) }
  }
  const index = compiler.compile(node.args[1], place)
  return {
    operands: [value, index],
    run: (message, locals) => hasIndex(value.run(message, locals), index.run(message, locals)),
  }
}

function compileEither(call: Call, compiler: Compiler, place: Place): { run: Evaluate; operands: readonly Operand[] } {
  const operands = call.args.map((node) => compiler.compile(node, place))
  const last = operands.at(-1)!.run
  const tried = operands.slice(0, -1).map((operand) => operand.run)
  return {
    operands,
    run(message, locals) {
      for (const run of tried) {
        try {
          const value = run(message, locals)
          if (value !== null) return value
        } catch (error) {
          if (!(error instanceof SluiceError)) throw error
        }
      }
      return last(message, locals)
    },
  }
}

function compileMatches(call: Call, compiler: Compiler, place: Place): { run: Evaluate; operands: readonly Operand[] } {
  const operands = call.args.map((node) => compiler.compile(node, place))
  const [subject, pattern] = [operands[0]!, operands[1]!]
  const source = pattern.constant?.value
  if (typeof source !== 'string') {
    throw new ExpressionError('the pattern of matches must be a text that stands in the expression', pattern.node)
  }
  const compiled = compilePattern(source, pattern)
  return {
    operands,
    run(message, locals) {
      const value = subject.run(message, locals)
      if (typeof value === 'string') return compiled.test(value)
      if (value === null) return meetMissing(subject, place, compiler)
      if (typeof value === 'number') return compiled.test(String(value))
      throw failed(`${subject.text} is ${typeName(value)}, and matches takes a text`, `write text(${subject.text})`)
    },
  }
}

function compilePattern(source: string, { node, secret }: Operand): RE2JS {
  try {
    return RE2JS.compile(source)
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error
    const cure = /\(\?[=!<]|\\[1-9]/.test(source) ? 'RE2 has no look-around and no back references' : undefined
    throw new ExpressionError(secret ? 'the pattern is not valid' : error.message, node, cure)
  }
}

function compileMap(call: Call, compiler: Compiler, place: Place): { run: Evaluate; operands: readonly Operand[] } {
  const loop = new Loop(call, compiler, place)
  const value = loop.value(call.args.at(-1)!)
  if (call.args.length === 3) {
    return loop.build((items, message, locals) => items.map((item) => value(item, message, locals)))
  }
  const test = loop.condition(call.args[2]!)
  return loop.build((items, message, locals) => {
    const kept = items.filter((item) => test(item, message, locals))
    return kept.map((item) => value(item, message, locals))
  })
}
