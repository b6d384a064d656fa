import type { ASTNode } from '@marcbachmann/cel-js'
import { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'

/**
 * A compiled piece of an expression. Gives null for what is missing, never undefined.
 * @param locals the values of the names that `map`, `filter` and the like bind, by slot
 */
export type Evaluate = (message: Message, locals: unknown[]) => unknown

/** A compiled node with what is known about it at load. */
export interface Operand {
  readonly run: Evaluate
  readonly node: ASTNode
  /** How errors call it: as it was written, shortened. */
  readonly text: string
  /** Set when the value is the same for every message. */
  readonly constant: { readonly value: unknown } | undefined
  /** True when a value of the environment is in it, which may be a secret and is never shown. */
  readonly secret: boolean
}

/** A call as it was written; the receiver of a method is its first argument. */
export interface Call {
  readonly node: ASTNode
  readonly name: string
  readonly args: readonly ASTNode[]
}

/** Where a node stands, which decides what a missing value means there. */
export interface Place {
  /** True where the result only decides: a test against a missing value is then false, and counted. */
  readonly condition: boolean
  /** Slots of the names bound around the node. */
  readonly names: ReadonlyMap<string, number>
}

/** What the compilers of single operations need from the one that walks the tree. */
export interface Compiler {
  readonly env: Readonly<Record<string, string>>
  /** Counts a test that met a missing value in a condition. */
  readonly onMissing: () => void
  compile(node: ASTNode, place: Place): Operand
  /** A slot for a bound name. */
  slot(): number
}

/** The error of an evaluation that cannot give a value. */
export function failed(message: string, hint?: string): SluiceError {
  return new SluiceError('expression_failed', message, hint === undefined ? {} : { hint })
}

/** The error for a value that is needed and not there. */
export function missing(text: string, hint?: string): SluiceError {
  return failed(`${text} is missing`, hint)
}
