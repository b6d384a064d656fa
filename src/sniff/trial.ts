import { withoutShortForm } from '../config/parts.ts'
import type { FormatDefinition, FramingDefinition } from '../contracts/define.ts'
import type { Frames, Framing } from '../contracts/framing.ts'
import type { Registry } from '../registry/registry.ts'
import { Framer } from '../wire/framer.ts'
import { burstsOf, bytesOf, type Recording } from './recording.ts'

/** A framing as it is written in a configuration: `line`, or `{ delimiter: '|' }`. */
export type WrittenPart = string | Readonly<Record<string, unknown>>

/** What a framing makes of what was recorded. */
export interface Trial {
  readonly frames: readonly Buffer[]
  /** Bytes that it refuses. */
  readonly refused: boolean
  /** Bytes of frames that had begun and not ended when the recording did. */
  readonly rest: number
  /** There were pauses, and every one of them stands between two frames. */
  readonly agreesWithPauses: boolean
}

/**
 * Runs the real framing over everything that was recorded.
 * @throws Error when the framing does not exist or its options are wrong, which is a mistake of ours
 */
export function tryFraming(written: WrittenPart, recordings: readonly Recording[], registry: Registry): Trial {
  const framing = createFraming(written, registry)
  const runs = recordings.map((recording) => decode(framing, bytesOf(recording)))
  const bursts = recordings.flatMap(burstsOf)
  return {
    frames: runs.flatMap(({ frames }) => frames),
    refused: runs.some(({ refused }) => refused),
    rest: runs.reduce((sum, { rest }) => sum + rest, 0),
    agreesWithPauses: bursts.length > 1 && bursts.every((burst) => isClean(decode(framing, burst))),
  }
}

/** Whether the real format takes each of these frames that is not empty. Only for formats that need no file. */
export function tryFormat(written: WrittenPart, frames: readonly Buffer[], registry: Registry): boolean {
  const [name, options] = nameAndOptions(written)
  const definition: FormatDefinition | undefined = registry.get('format', name)
  if (definition === undefined) throw new Error(`there is no format ${name}`)
  const format = definition.create(definition.options.parse(withoutShortForm(definition, options)), NO_FILES)
  try {
    for (const frame of frames) if (frame.length > 0) format.parse(frame, 0, frame.length)
    return true
  } catch {
    return false
  }
}

const NO_FILES = {
  resolvePath: (path: string) => path,
  resolvePackage(name: string): never {
    throw new Error(`${name} is not used here`)
  },
}

function nameAndOptions(written: WrittenPart): [name: string, options: unknown] {
  return typeof written === 'string' ? [written, undefined] : Object.entries(written)[0]!
}

function createFraming(written: WrittenPart, registry: Registry): Framing {
  const [name, options] = nameAndOptions(written)
  const definition: FramingDefinition | undefined = registry.get('framing', name)
  if (definition === undefined) throw new Error(`there is no framing ${name}`)
  return definition.create(definition.options.parse(withoutShortForm(definition, options)))
}

interface Decoded {
  readonly frames: readonly Buffer[]
  readonly refused: boolean
  readonly rest: number
}

function decode(framing: Framing, bytes: Buffer): Decoded {
  const framer = new Framer(framing.createDecoder(LONGEST), LONGEST)
  const frames: Buffer[] = []
  let refused = false
  for (let at = 0; at < bytes.length && !refused; at += framer.taken) {
    const portion: Frames = framer.push(bytes.subarray(at))
    refused = portion.errors !== undefined
    for (let i = 0; i < portion.count; i++) frames.push(portion.at(i))
  }
  return { frames, refused, rest: framer.unread }
}

function isClean({ frames, refused, rest }: Decoded): boolean {
  return frames.length > 0 && !refused && rest === 0
}

/** As `limits.maxFrameLength` is when nothing is said, in bytes. */
const LONGEST = 1024 * 1024
