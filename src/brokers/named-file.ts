import { readFileSync } from 'node:fs'

/** Why a file cannot be read, and what to do. */
export interface FileProblem {
  readonly message: string
  readonly hint: string
}

/**
 * Reads a text file that a setting names.
 * @param file as it is written there. What is the text of a key or certificate, and no path, is not repeated: it may be secret
 * @param absolute where it is
 */
export function readNamed(file: string, absolute: string): string | FileProblem {
  if (file.includes('-----BEGIN ')) {
    return { message: 'this is the text of a PEM file', hint: 'give the path of the file that holds it' }
  }
  try {
    return readFileSync(absolute, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error'
    const reason = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`
    return { message: `the file ${file} ${reason}`, hint: `looked for ${absolute}` }
  }
}
