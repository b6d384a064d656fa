import type Protobuf from 'protobufjs'
import { SluiceError } from '../contracts/errors.ts'
import { suggest } from '../util/suggest.ts'
import { findImport } from './schema-imports.ts'

/**
 * Reads a `.proto` file, and what it imports from its own folder.
 * @param file absolute
 * @param name of the message type; undefined for the only one of the file
 * @throws SluiceError `schema_invalid`
 */
export function loadMessageType(library: typeof Protobuf, file: string, name: string | undefined): Protobuf.Type {
  const root = new library.Root()
  root.resolvePath = (importer, target) => (importer === '' ? target : findImport(file, importer, target))
  try {
    root.loadSync(file, { keepCase: true })
  } catch (thrown) {
    if (thrown instanceof SluiceError) throw thrown
    const { code, message } = thrown as NodeJS.ErrnoException
    const problem = code === 'ENOENT' ? 'there is no such file' : message
    throw new SluiceError('schema_invalid', `${file} cannot be used: ${problem}`, { cause: thrown })
  }
  const types = typesIn(library, root)
  const own = types.filter((type) => type.filename === file)
  const found =
    name === undefined
      ? own
      : types.filter((type) => nameOf(type) === name || (own.includes(type) && type.name === name))
  if (found.length === 1) return found[0]!
  throw new SluiceError('schema_invalid', problemOf(name, found.length), { hint: hintOf(name, own) })
}

function problemOf(name: string | undefined, found: number): string {
  if (name !== undefined) return found === 0 ? `there is no message ${name}` : `there are ${found} messages ${name}`
  return found === 0 ? 'the file has no message' : `the file has ${found} messages`
}

function hintOf(name: string | undefined, types: readonly Protobuf.Type[]): string {
  const known = types.map(nameOf)
  const near = name === undefined ? undefined : suggest(name, [...known, ...types.map((type) => type.name)])
  if (near !== undefined) return `did you mean ${near}?`
  return known.length === 0 ? 'declare one: message Name { … }' : `write message: with one of ${known.join(', ')}`
}

/** With its package, as other files write it. */
function nameOf(type: Protobuf.Type): string {
  return type.fullName.slice(1)
}

function typesIn(library: typeof Protobuf, space: Protobuf.NamespaceBase): Protobuf.Type[] {
  return space.nestedArray.flatMap((inner) => {
    if (!(inner instanceof library.Namespace)) return []
    // Fields of a type are no types; what is nested in it may be.
    return inner instanceof library.Type ? [inner, ...typesIn(library, inner)] : typesIn(library, inner)
  })
}
