/** The longest name that {@link identifierProblem} lets pass, in UTF-16 units. */
export const MAX_IDENTIFIER_LENGTH = 128

/**
 * A name as it stands in an SQL statement: in double quotes, with those inside doubled (ISO 9075, delimited identifier).
 * Any name without NUL is safe this way, wherever it came from.
 */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/**
 * Why a text cannot be the name of a table or column.
 * @returns a phrase that fits behind "the name", or undefined when it can
 */
export function identifierProblem(name: string): string | undefined {
  if (name === '') return 'is empty'
  if (name.length > MAX_IDENTIFIER_LENGTH) return `is longer than ${MAX_IDENTIFIER_LENGTH} characters`
  if (name.includes('\0')) return 'contains a NUL character'
  if (!name.isWellFormed()) return 'is not valid Unicode'
  return undefined
}
