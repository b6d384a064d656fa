import { parse } from 'yaml'
import { ConfigError } from '../config/config-error.ts'
import { toSluiceError } from '../contracts/errors.ts'
import { type OpenConnection, type OpenOptions, openConnection } from '../library/open-connection.ts'
import { type Target, targetInWords } from './address.ts'
import { pipe } from './connect-pipe.ts'
import { ask } from './connect-send.ts'
import { talk } from './connect-terminal.ts'
import { EXIT } from './exit.ts'
import { hexLines } from './hex-lines.ts'
import { noHistory, openHistory } from './history.ts'
import { showLines } from './safe-text.ts'
import { paint, print, printError } from './terminal.ts'
import { type Arrived, createWire, problemOf, type Wire } from './wire.ts'

/** The options of `sluice connect`. */
export interface ConnectFlags {
  readonly framing?: string
  readonly format?: string
  readonly eol: 'lf' | 'crlf' | 'cr' | 'none'
  readonly hex?: boolean
  readonly tls?: boolean
  readonly insecure?: boolean
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly servername?: string
  readonly send?: string
  readonly expect?: RegExp
  readonly timeout: number
  readonly history: boolean
}

/** With framing and format as a configuration has them. */
type Flags = Omit<ConnectFlags, 'framing' | 'format'> & { readonly framing: unknown; readonly format: unknown }

type MakeWire = (onArrived: (one: Arrived) => void) => Wire

/** Connects, and then does what the options say. Failures are printed, and the exit code is set. */
export async function runConnect(target: Target, given: ConnectFlags): Promise<void> {
  const flags: Flags = { ...given, framing: readPart(given.framing), format: readPart(given.format) }
  const opened = await open(target, flags)
  if (opened === undefined) return
  const options = { framing: flags.framing, format: flags.format, eol: LINE_ENDS[flags.eol] }
  const makeWire: MakeWire = (onArrived) => createWire(opened, options, onArrived)
  try {
    if (flags.send !== undefined) await sendOne(opened, makeWire, flags.send, flags)
    else if (process.stdin.isTTY && process.stdout.isTTY) await talkByHand(opened, makeWire, target, flags)
    else if (flags.framing !== undefined || flags.format !== undefined) {
      printError('error: in a pipe bytes go as they are; --framing and --format need a terminal or --send')
      process.exitCode = EXIT.usage
    } else await pipe(opened.socket, process.stdin, process.stdout, process.stdout.isTTY ? showLines : asItIs)
  } catch (thrown) {
    fail(thrown)
  } finally {
    opened.socket.destroy()
  }
}

function asItIs(chunk: Buffer): Buffer {
  return chunk
}

async function open(target: Target, flags: Flags): Promise<OpenConnection | undefined> {
  const { ca, cert, key, servername, insecure = false, timeout } = flags
  const encrypts = flags.tls || insecure || ca !== undefined || cert !== undefined || servername !== undefined
  if (insecure) {
    printError(
      paint('yellow', 'warning: --insecure believes any certificate: anybody may be on the other side', process.stderr),
    )
  }
  const files = Object.entries({ ca, cert, key, servername }).filter(([, value]) => value !== undefined)
  const options = {
    ...target,
    ...(flags.framing !== undefined && { framing: flags.framing }),
    ...(flags.format !== undefined && { format: flags.format }),
    timeout: `${timeout}ms`,
    ...(encrypts && { tls: { ...Object.fromEntries(files), insecure } }),
  }
  try {
    return await openConnection(options as OpenOptions)
  } catch (thrown) {
    fail(thrown)
    return undefined
  }
}

async function sendOne(
  { socket }: OpenConnection,
  makeWire: MakeWire,
  text: string,
  { framing, expect, timeout, hex, format }: Flags,
): Promise<void> {
  const settle = framing === undefined && format === undefined ? SETTLE_MS : undefined
  const answer = await ask(socket, makeWire, text, { timeout, expected: expect, settle })
  const isPiped = !process.stdout.isTTY && format === undefined && !hex
  // A frame has lost what stood around it, so that something must stand between two.
  const end = framing === undefined ? '' : '\n'
  if (isPiped) for (const { bytes } of answer.frames) process.stdout.write(Buffer.concat([bytes, Buffer.from(end)]))
  else for (const { bytes, shown } of answer.frames) for (const line of hex ? hexLines(bytes) : [shown]) print(line)
  if (answer.missing === undefined) return
  printError(answer.missing)
  process.exitCode = EXIT.noAnswer
}

async function talkByHand(
  opened: OpenConnection,
  makeWire: MakeWire,
  target: Target,
  { hex = false, history, insecure }: Flags,
): Promise<void> {
  const secured = opened.socket.tls ? `, encrypted${insecure ? ' but NOT verified' : ' and verified'}` : ''
  const greeting = `connected to ${targetInWords(target)}${secured}. ${paint('dim', '/help says what you can do; Ctrl-C leaves.')}`
  await talk(opened.socket, makeWire, { greeting, hex, history: history ? openHistory(process.env) : noHistory() })
}

/** One sentence on standard error, and exit code 1; wrong options are wrong usage. */
function fail(thrown: unknown): void {
  if (thrown instanceof ConfigError) {
    for (const { message, hint } of thrown.problems)
      printError(`error: ${message.replaceAll('connect.client.', '')}${hint === undefined ? '' : `: ${hint}`}`)
    process.exitCode = EXIT.usage
    return
  }
  const { code, message, hint } = toSluiceError(thrown, 'internal')
  printError(code === 'internal' ? problemOf(thrown) : message)
  // Hints speak of a configuration; here its options have the names of the command line.
  if (hint !== undefined) printError(`  → ${hint.replaceAll(/\btls\.(?=ca\b|servername\b)/g, '--')}`)
  process.exitCode = EXIT.failed
}

/** `mllp`, or one entry of YAML such as `delimiter: "|"`. What is no YAML is a name that does not exist. */
function readPart(text: unknown): unknown {
  try {
    return typeof text === 'string' ? parse(text) : text
  } catch {
    return text
  }
}

const LINE_ENDS = { lf: '\n', crlf: '\r\n', cr: '\r', none: '' } as const

/** An answer without a line end is complete when nothing more has come for so long, in milliseconds. */
const SETTLE_MS = 200
