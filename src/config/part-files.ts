import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { EndpointPlan, StepPlan } from './planned.ts'
import type { Report } from './report.ts'
import { valueAt } from './shape.ts'
import { dataflowsOf, nestedIn } from './step-words.ts'

/** Reports files that a part needs when it is created, where they are not there and nothing makes them before. */
export function checkFiles(endpoints: readonly EndpointPlan[], baseDir: string, report: Report): void {
  const context = { resolvePath: (path: string) => resolve(baseDir, path) }
  const made = new Set<string>()
  for (const { definition, options, path, name } of endpoints.flatMap((one) => asCreated(dataflowsOf(one)))) {
    for (const file of definition.files?.(options, context) ?? []) {
      if (file.use === 'made') made.add(file.path)
      else if (!made.has(file.path) && !existsSync(file.path)) {
        const hint = [`looked for ${file.path}`, ...(file.hint === undefined ? [] : [file.hint])].join('; ')
        const message = `the file ${String(valueAt(options, file.option))} does not exist`
        report.add({ code: 'VALUE_INVALID', path: [...path, name, ...file.option], message, hint })
      }
    }
  }
}

/** Steps in the order in which they are created: before each, those that stand around it and inside it. */
function asCreated(steps: readonly StepPlan[]): StepPlan[] {
  return steps.flatMap((step) => [
    ...asCreated(step.otherwise ?? []),
    ...asCreated(step.onError ?? []),
    ...nestedIn(step.options).flatMap((nested) => asCreated(nested.steps)),
    step,
  ])
}
