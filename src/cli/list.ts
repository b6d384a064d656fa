import { Argument, Command, InvalidArgumentError } from 'commander'
import type { PartDefinition } from '../contracts/define.ts'
import { paint, print } from './terminal.ts'

const kinds = ['framing', 'format', 'step', 'sink', 'subscription'] as const satisfies readonly PartDefinition['kind'][]

export function listCommand(): Command {
  return new Command('list')
    .description('list the framings, formats, steps, sinks and subscriptions that there are')
    .addArgument(new Argument('[kind]', 'only these').choices(kinds).argParser(parseKind))
    .action(async (kind: PartDefinition['kind'] | undefined) => {
      const { createRegistry } = await import('../registry/builtins.ts')
      const registry = createRegistry()
      for (const each of kind === undefined ? kinds : [kind]) {
        const definitions = registry.list(each)
        const width = Math.max(...definitions.map(({ name }) => name.length))
        print(paint('bold', `${each}s`))
        for (const { name, summary } of definitions) print(`  ${paint('cyan', name.padEnd(width))}  ${summary}`)
        print()
      }
    })
}

/** The plural is what the list is headed with. */
function parseKind(text: string): PartDefinition['kind'] {
  const found = kinds.find((kind) => text === kind || text === `${kind}s`)
  if (found === undefined) throw new InvalidArgumentError(`Allowed choices are ${kinds.join(', ')}.`)
  return found
}
