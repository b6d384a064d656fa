import { compileFunction } from 'node:vm'

/**
 * A piece of JavaScript. Only {@link js} makes one, so its text stands in a template of this program. An expression that
 * is more than a name, a call or a literal is written in parentheses, so that it can stand in any other.
 */
class Piece {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  toString(): string {
    return this.#text
  }
}

export type Code = Piece

/** What may stand in a template: another piece as it is, anything else as a literal. */
export type Insert = Code | string | number | boolean | undefined

/**
 * The tag of templates that are code. A text in it becomes a literal of that text, whatever it holds: there is no way from
 * a name or a value of a user to a word of the program.
 */
export function js(template: TemplateStringsArray, ...inserts: readonly Insert[]): Code {
  return new Piece(String.raw({ raw: template }, ...inserts.map(textOf)))
}

/** An object of these keys and values, in this order. */
export function objectLiteral(entries: readonly (readonly [key: string, value: Code])[]): Code {
  // Without the brackets this one key would set the prototype (ECMA-262, section B.3.1).
  const members = entries.map(([key, value]) => (key === '__proto__' ? js`[${key}]: ${value}` : js`${key}: ${value}`))
  return new Piece(`{ ${members.join(', ')} }`)
}

/** All of them, with an operator such as `&&` between. */
export function operation(operator: Code, operands: readonly Code[]): Code {
  return new Piece(`(${operands.join(` ${operator} `)})`)
}

/** A function that is being written, or a block in one: its statements, one after the other. */
export class Body {
  readonly #lines: string[]
  readonly #constants: Map<unknown, Code>
  readonly #names: { count: number }

  private constructor(constants: Map<unknown, Code>, names: { count: number }) {
    this.#lines = []
    this.#constants = constants
    this.#names = names
  }

  /**
   * Makes a function.
   * @param parameters the names of its parameters, with commas
   * @param fill writes its statements
   * @returns the function; that it has the type `F` is for the caller to know
   */
  static compile<F>(parameters: Code, fill: (body: Body) => void): F {
    const constants = new Map<unknown, Code>()
    const body = new Body(constants, { count: 0 })
    fill(body)
    const text = `'use strict'\nreturn function (${parameters}) {\n${body.#lines.join('\n')}\n}`
    // Node.js with --disallow-code-generation-from-strings forbids `new Function`, and leaves this to programs.
    const make = compileFunction(text, [...constants.values()].map(String), { filename: 'sluice:generated' })
    return make(...constants.keys()) as F
  }

  add(statement: Code): void {
    this.#lines.push(`${statement};`)
  }

  /** Keeps a value for the statements behind this one. @returns its name */
  keep(value: Code): Code {
    const name = this.name()
    this.add(js`const ${name} = ${value}`)
    return name
  }

  /** A name that nothing else has. */
  name(): Code {
    this.#names.count++
    return new Piece(`v${this.#names.count}`)
  }

  /** A value that is there when the function is made: a table, bytes, a function of this program. */
  constant(value: unknown): Code {
    const known = this.#constants.get(value)
    if (known !== undefined) return known
    const name = new Piece(`k${this.#constants.size}`)
    this.#constants.set(value, name)
    return name
  }

  /** A call of a function of this program. */
  call(callee: (...given: never[]) => unknown, ...given: readonly Insert[]): Code {
    return new Piece(`${this.constant(callee)}(${given.map(textOf).join(', ')})`)
  }

  /** A block. @param head what stands in front of it: `if (…)`, `else`, `for (…)` */
  block(head: Code, fill: (inner: Body) => void): void {
    const inner = new Body(this.#constants, this.#names)
    fill(inner)
    this.#lines.push(`${head} {`, ...inner.#lines, '}')
  }
}

function textOf(insert: Insert): string {
  if (typeof insert === 'string') return JSON.stringify(insert)
  // A sign in front of a number could meet another one.
  if (typeof insert === 'number' && (insert < 0 || Object.is(insert, -0))) return `(-${-insert})`
  return String(insert)
}
