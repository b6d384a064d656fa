import { access } from 'node:fs/promises'
import { basename, dirname, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { inspect } from 'node:util'
import type { Client } from '../contracts/client.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { ErrorInfo, MessageEvent } from '../contracts/message.ts'

/** What a script gets besides `msg`. In a worker thread all of it is a copy, so nothing that is changed here is seen outside. */
export interface ScriptContext {
  /** The frame as it was read. */
  readonly raw: Buffer
  readonly client: Readonly<Client>
  readonly event: MessageEvent
  /** When the last byte of the frame was read. */
  readonly received: Date
  readonly endpoint: string
  /** What a broker has filed the message under; null when it came from none. */
  readonly topic: string | null
  /** The values that `set` wrote for this connection. */
  readonly state: Readonly<Record<string, unknown>>
  /** In an `onError`: what went wrong. */
  readonly error: ErrorInfo | undefined
}

/**
 * What a script exports. It gives the new `msg`, or a promise of it; `undefined` ends the message here, and what is
 * thrown fails it.
 */
export type Script = (msg: unknown, context: ScriptContext) => unknown

/**
 * Loads a script.
 * @param file absolute path
 * @param version differs when the file has changed since it was last loaded in this thread
 * @throws SluiceError `script_failed`, with the cure
 */
export async function loadScript(file: string, exportName: string, version = ''): Promise<Script> {
  const name = basename(file)
  try {
    await access(file)
  } catch (thrown) {
    const hint = 'A relative path starts at the folder of the configuration file.'
    throw new SluiceError('script_failed', `the script ${file} cannot be read`, { cause: thrown, hint })
  }
  const url = pathToFileURL(file)
  url.search = version
  let module: Readonly<Record<string, unknown>>
  try {
    module = await import(url.href)
  } catch (thrown) {
    const hint = HINTS[(thrown as NodeJS.ErrnoException | undefined)?.code ?? ''] ?? 'Correct the script and try again.'
    throw new SluiceError('script_failed', `${name} cannot be loaded: ${describeThrown(thrown, file)}`, { hint })
  }
  const script = module[exportName]
  if (typeof script === 'function') return script as Script
  const others = Object.keys(module).filter((key) => typeof module[key] === 'function')
  throw new SluiceError('script_failed', `${name} exports no function named "${exportName}"`, {
    hint:
      others.length === 0
        ? 'Begin it with: export default (msg, context) => …'
        : `Name the one to use, such as export: ${others[0]}`,
  })
}

/** What a script threw: the message and the line of the user's code where it came from. One line of text. */
export function describeThrown(thrown: unknown, file: string): string {
  if (!(thrown instanceof Error)) return inspect(thrown, { breakLength: Number.POSITIVE_INFINITY })
  for (const line of (thrown.stack ?? '').split('\n')) {
    const [, place, position] = PLACE.exec(line) ?? []
    if (place === undefined || OURS.test(place)) continue
    const path = place.startsWith('file:') ? fileURLToPath(place) : place
    return `${thrown.message} (${relative(dirname(file), path)}:${position})`
  }
  return thrown.message
}

/** A line of a stack with a file in it, as a URL or a path: `at name (file:///a/b.ts?query:1:2)`, `file:///a/b.ts:1`. */
const PLACE = /^(?:\s+at (?:.*\()?(?:async )?)?((?:file:\/\/)?\/[^\s?()]+?)(?:\?[^\s:()]*)?:(\d+(?::\d+)?)\)?$/

/** These files, which call the function of the user and so may stand in its stack. */
const OURS = /\/steps\/script(?:-[a-z]+)?\.[jt]s$/

const HINTS: Readonly<Record<string, string>> = {
  ERR_MODULE_NOT_FOUND: 'Install the package in the folder of the script, or correct the path of the import.',
  ERR_UNKNOWN_FILE_EXTENSION: 'A script ends in .ts, .mts, .js or .mjs.',
  ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX:
    'Node only removes types: write enum, namespace and parameter properties in plain JavaScript.',
}
