import { readFileSync } from 'node:fs'

/**
 * Why a file that a setting names cannot be read.
 * @param file as it is written there. What is the text of a key or certificate, and no path, is not repeated: it may be secret
 * @param absolute where it is
 * @returns undefined when it can be read
 */
export function fileProblem(file: string, absolute: string): { message: string; hint: string } | undefined {
  if (file.includes('-----BEGIN ')) {
    return { message: 'this is the text of a PEM file', hint: 'give the path of the file that holds it' }
  }
  try {
    readFileSync(absolute)
    return undefined
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error'
    const reason = code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})`
    return { message: `the file ${file} ${reason}`, hint: `looked for ${absolute}` }
  }
}
