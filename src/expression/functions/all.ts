import { byteFunctions } from './bytes.ts'
import { dataFunctions } from './data.ts'
import type { FunctionDefinition } from './define.ts'
import { identityFunctions } from './identity.ts'
import { numberFunctions } from './numbers.ts'
import { textFunctions } from './text.ts'
import { timeFunctions } from './time.ts'

/** All functions, by group and name. */
export const functionGroups = {
  text: textFunctions,
  numbers: numberFunctions,
  bytes: byteFunctions,
  time: timeFunctions,
  data: dataFunctions,
  identity: identityFunctions,
} as const satisfies Record<string, Readonly<Record<string, FunctionDefinition>>>

/** The function of a name, whatever its group. */
export function findFunction(name: string): FunctionDefinition | undefined {
  for (const group of Object.values(functionGroups)) if (Object.hasOwn(group, name)) return group[name]
  return undefined
}
