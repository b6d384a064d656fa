import { Command } from 'commander'
import { print } from './terminal.ts'

export function schemaCommand(): Command {
  return new Command('schema')
    .description('print the JSON Schema of a configuration, for editors')
    .addHelpText(
      'after',
      '\nSave it, and name it in the first line of your file:\n  # yaml-language-server: $schema=./sluice.schema.json\n',
    )
    .action(async () => {
      const { createEditorSchema } = await import('../config/editor-schema.ts')
      print(JSON.stringify(createEditorSchema(), null, 2))
    })
}
