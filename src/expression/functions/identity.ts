import { createHash } from 'node:crypto'
import { bytes, define, defineClocked, type FunctionDefinition, param } from './define.ts'

/** Functions that name things. */
export const identityFunctions: Readonly<Record<string, FunctionDefinition>> = {
  uuid: defineClocked({
    params: [],
    summary: 'A random UUID (RFC 9562, version 4).',
    example: 'uuid()',
    result: '"00000000-0000-4000-8000-000000000001"',
    run: (clock) => clock.uuid(),
  }),
  next: defineClocked({
    params: [],
    summary: 'The next number of a count that begins at 1 with the process.',
    example: 'next()',
    result: '1',
    run: (clock) => clock.next(),
  }),
  sha256: define({
    params: [param('bytes', bytes)],
    summary: 'The SHA-256 digest in hexadecimal digits.',
    example: 'sha256("abc")',
    result: '"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"',
    run: (value) => createHash('sha256').update(value).digest('hex'),
  }),
}
