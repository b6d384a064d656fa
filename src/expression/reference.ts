import { signature } from './calls.ts'
import { forms } from './forms.ts'
import { functionGroups } from './functions/all.ts'

/** What the reference page says of a function. The example and its result are both expressions. */
export interface FunctionReference {
  readonly name: string
  readonly group: keyof typeof functionGroups | 'lists'
  readonly signature: string
  readonly summary: string
  readonly example: string
  readonly result: string
}

/** All functions of the expression language, by group and in the order of the page. */
export const expressionFunctions: readonly FunctionReference[] = [
  ...Object.entries(functionGroups).flatMap(([group, functions]) =>
    Object.entries(functions).map(([name, { params, summary, example, result }]) => ({
      name,
      group: group as keyof typeof functionGroups,
      signature: signature(name, params),
      summary,
      example,
      result,
    })),
  ),
  ...Object.entries(forms).map(([name, { group, signature, summary, example, result }]) => ({
    name,
    group,
    signature,
    summary,
    example,
    result,
  })),
]
