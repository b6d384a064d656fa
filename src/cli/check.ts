import { Command } from 'commander'
import { chooseFile, FILE_HELP, planFile } from './plan-file.ts'
import { paint, print } from './terminal.ts'

export function checkCommand(): Command {
  return new Command('check')
    .description('find every mistake in a configuration, and say in words what each endpoint promises')
    .argument('[file]', FILE_HELP)
    .option('-q, --quiet', 'print mistakes only')
    .action(async (named: string | undefined, { quiet }: { quiet?: boolean }) => {
      const file = chooseFile(named)
      const plan = await planFile(file)
      if (plan === undefined || quiet) return
      const { describePlan } = await import('../config/promise.ts')
      for (const line of describePlan(plan)) print(line)
      const { rehearseConnect } = await import('../testing/run-case.ts')
      for (const { name } of plan.endpoints) {
        for (const failure of await rehearseConnect(plan, name)) {
          print(paint('yellow', `warning: runOnConnect of ${name}, where msg is null: ${failure}`))
          print('  → put if: event == "message" beside that step, or give it a default')
        }
      }
      print(paint('green', `${file} is valid`))
    })
}
