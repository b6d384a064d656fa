import { expr, z } from '../contracts/schema.ts'

/** The options that name clients by a tag, which `set` or `hosts:` has given them. */
export const tagOptions = {
  tag: z.string().min(1).optional().describe('The name of a tag; with `value`, clients whose tag has it.'),
  value: expr().optional().describe('An expression: the value that the tag must have.'),
}

/** What is wrong with {@link tagOptions}: one does not go without the other. */
export function tagProblem({ tag, value }: { readonly tag?: unknown; readonly value?: unknown }): string | undefined {
  if (tag !== undefined && value === undefined) return 'tag needs value: an expression for the value of the tag'
  return tag === undefined && value !== undefined ? 'value belongs to tag; what is sent stands beside to' : undefined
}
