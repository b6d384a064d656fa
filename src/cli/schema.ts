import { Command } from 'commander'
import { createEditorSchema } from '../config/editor-schema.ts'
import { print } from './terminal.ts'

export function schemaCommand(): Command {
  return new Command('schema')
    .description('print the JSON Schema of a configuration, for editors')
    .addHelpText(
      'after',
      '\nSave it, and name it in the first line of your file:\n  # yaml-language-server: $schema=./sluice.schema.json\n',
    )
    .action(() => print(JSON.stringify(createEditorSchema(), null, 2)))
}
